//! Looks at hosts that no ledger lists: when, and what becomes of a look.
use super::super::endpoint::Looked;
use super::super::handshake::{Look, sni_for};
use super::super::leaf::Facts;
use super::super::verifier::{Offer, Possession};
use super::{Done, LONGEST_PAUSE, Seen, Watcher};
use certdrift_contract::HostName;
use certdrift_contract::index::DEFAULT;
use std::sync::Arc;
use std::time::Duration;

impl Watcher {
    /// Looks at a host that no ledger lists, if it is time, and nothing else waits for this endpoint to answer again.
    pub(super) fn start_former(&mut self, now: Duration) -> Duration {
        if self.resume > now || (self.failures > 0 && self.looking > 0) {
            return LONGEST_PAUSE;
        }
        if let Err(wait) = self.pace.clone().take(2, now) {
            return wait;
        }
        let at = self.millis();
        match self.former.next(at) {
            Ok(host) => {
                let (endpoint, timeout) = (Arc::clone(&self.endpoint), self.settings.timeout);
                let gate = Arc::clone(&self.settings.gate);
                let _ = self.pace.take(1, now);
                self.looking = self.looking.saturating_add(1);
                self.running.spawn(async move {
                    let _turn = gate.acquire().await;
                    let looked = endpoint.look(&host, &[Offer::Any], false, 0, timeout).await;
                    Done::Former { host, looked }
                });
                LONGEST_PAUSE
            }
            Err(due) => Duration::from_millis(due.saturating_sub(at)).min(LONGEST_PAUSE),
        }
    }

    /// Of a host that no ledger lists only the end of what it is served counts, and whether that is there for it at all.
    pub(super) async fn former(&mut self, host: &str, looked: Looked) {
        let Some(sight) = looked.looks.into_iter().next() else { return };
        let unreachable = match &sight.look {
            Look::Unreachable(why) => Some(why.clone()),
            _ => None,
        };
        let is_unknown = unreachable.is_some();
        self.reach(unreachable).await;
        // Its entry may have come back meanwhile.
        if is_unknown || self.expectations.as_ref().is_some_and(|e| e.hosts.iter().any(|h| **h == *host)) {
            return;
        }
        let facts = match &sight.look {
            Look::Served(served) if served.possession != Possession::Refuted => served.facts.as_ref().ok(),
            _ => None,
        };
        let not_after = facts.filter(|facts| is_for(facts, host)).map(|facts| facts.not_after);
        if not_after.is_none() && host != DEFAULT {
            self.former.forget(host);
        }
        let (endpoint, host) = (self.endpoint.name.clone(), host.to_owned());
        self.tell(Seen::Unlisted { endpoint, host, not_after }).await;
    }
}

/// Whether a certificate is there for a listed host, and not served because no other is.
fn is_for(facts: &Facts, listed: &str) -> bool {
    let (name, _) = sni_for(listed);
    listed == DEFAULT
        || name.and_then(|name| name.parse::<HostName>().ok()).is_some_and(|name| facts.covers(&name))
}
