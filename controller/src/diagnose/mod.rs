//! Diagnosis: facts in, findings with their causes out. Pure; never awaits, reads a clock or touches the network.
//!
//! | file | what |
//! |---|---|
//! | `cause` | the causes, by hop |
//! | `facts` | what is known of a host that drifts on an endpoint |
//! | `serving` | the cause of that drift, or what is missing to tell it |
//! | `lack` | what may be missing |
//! | `way` | all that is broken on the way of a gateway's certificates |
mod cause;
mod facts;
mod lack;
mod serving;
mod way;

pub use cause::{Cause, Hop};
pub use facts::{Facts, Fellows, Given, Loading, Workers};
pub use lack::{Lack, cannot_tell};
pub use serving::{Reason, reason};
pub use way::{Diagnosis, Drifting, cause_of, diagnose};
