//! What makes a gateway serve what is expected: a signal, a command, a webhook.
pub mod config;
