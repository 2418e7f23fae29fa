//! What `GET /ledger/GATEWAY` and `GET /ledger/GATEWAY/PART` answer with; who may ask is the server's rule.
use super::split::Published;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The ledgers that are published now; cheap to clone, all clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Ledgers {
    all: Arc<RwLock<BTreeMap<String, Arc<Published>>>>,
}

impl Ledgers {
    /// Puts a gateway's ledger in place of the one before. A reader gets the old whole or the new whole.
    pub fn publish(&self, published: Arc<Published>) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(published.gateway.clone(), published);
    }

    /// A gateway is no longer watched over.
    pub fn withdraw(&self, gateway: &str) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).remove(gateway);
    }

    /// What is published for a gateway.
    #[must_use]
    pub fn get(&self, gateway: &str) -> Option<Arc<Published>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(gateway).cloned()
    }

    /// The bytes and the ETag of a gateway's ledger, or of one of its parts.
    #[must_use]
    pub fn document(&self, gateway: &str, part: Option<&str>) -> Option<(Arc<[u8]>, String)> {
        let published = self.get(gateway)?;
        let document = match part {
            None => &published.index,
            Some(name) => published.part(name)?,
        };
        Some((document.bytes(), Published::etag(document)))
    }
}
