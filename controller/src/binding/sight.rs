//! What is known of the Secret that an object names.
use crate::cluster::ObjectName;

/// What is known of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It is there; or nobody may look (no permission on Secrets), and it is taken to be there.
    There,
    /// It is not there.
    Missing,
    /// It is there, and the ingress controller does not read it: its label is not `"true"`.
    NotIngested,
}

/// Looks a Secret up.
pub type Look<'a> = &'a dyn Fn(&ObjectName) -> Sight;
