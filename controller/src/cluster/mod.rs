//! The API server's objects, reduced to the fields that are used.
//!
//! Each type is read from the API's own JSON and keeps nothing else of it: unknown fields are passed over, annotations
//! are kept only where somebody asks for them, so that ten thousand objects cost little and a newer API is no error.
pub mod call;
pub mod cert_manager;
pub mod connect;
pub mod event;
pub mod forward;
pub mod gateway;
pub mod ingress;
pub mod kinds;
pub mod list;
pub mod object;
pub mod pod;
pub mod review;
pub mod selector;
pub mod server;
mod token;
pub mod watch;
mod watched;
pub mod watches;
pub mod workload;

pub use object::{Condition, Meta, Names, ObjectName};
