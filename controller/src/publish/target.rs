//! Where a ledger is put for those who read it: a file, ConfigMaps. The publisher knows no more of them than this.
use super::split::Published;
use crate::finding::Finding;
use certdrift_contract::{Ledger, Revision};
use std::fmt::Debug;
use std::sync::Arc;

/// A place where a gateway's ledger is kept and read. Calls are quick: what waits for a network is done elsewhere.
pub trait Target: Debug + Send {
    /// The ledger that is there at the start, with its entries, and in how many parts; `None` when there is none.
    ///
    /// # Errors
    /// It is damaged or cannot be read: it is built anew.
    fn read(&self) -> Result<Option<(Ledger, usize)>, Finding>;

    /// Puts what is published there, where it differs.
    ///
    /// # Errors
    /// It cannot be written; what was there is still there.
    fn put(&self, published: &Arc<Published>) -> Result<(), Finding>;

    /// Puts right what another hand did to it, and tells what is wrong or was; to be called every few seconds.
    fn tend(&self, published: &Arc<Published>) -> Vec<Finding>;

    /// What somebody else has put there that is newer than what we published; told once.
    fn newer(&self) -> Option<Newer> {
        None
    }

    /// Whether [`Target::newer`] has something to tell.
    fn is_ahead(&self) -> bool {
        false
    }
}

/// Something newer than what we published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Newer {
    /// By another replica: what it knew of predecessors is taken up. With the number of its parts.
    Ledger(Box<Ledger>, usize),
    /// By a stranger: nothing of it is taken up, but ours has to be newer for readers to take it.
    Revision(Revision),
}
