//! Who holds how many connections: a bound for all, and one for each address, so that a stranger who opens many and
//! says nothing shuts nobody else out (a kubelet that gets no answer to `/livez` restarts the pod).
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at one time; more wait in the kernel.
const MOST: usize = 256;
/// Connections of one address (IPv6: of one /64) at one time; more are closed. This machine's own are not counted.
const MOST_EACH: usize = 64;

/// All seats.
#[derive(Debug)]
pub(super) struct Seats {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One that is free, and not yet anybody's.
#[derive(Debug)]
pub(super) struct Free {
    _permit: Option<OwnedSemaphorePermit>,
}

/// One that is taken, for as long as it lives.
#[derive(Debug)]
pub(super) struct Seat {
    _free: Free,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    by: Option<IpAddr>,
}

impl Seats {
    pub(super) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(MOST)), taken: Arc::default() }
    }

    /// Waits for a free one.
    pub(super) async fn free(&self) -> Free {
        Free { _permit: Arc::clone(&self.free).acquire_owned().await.ok() }
    }

    /// Gives it to a visitor, unless he has too many already.
    pub(super) fn take(&self, free: Free, peer: IpAddr) -> Option<Seat> {
        let by = whose(peer);
        if let Some(by) = by {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let his = taken.entry(by).or_default();
            if *his >= MOST_EACH {
                return None;
            }
            *his += 1;
        }
        Some(Seat { _free: free, taken: Arc::clone(&self.taken), by })
    }

    /// Waits until all are free again, for so long at most.
    pub(super) async fn all_free(&self, within: Duration) {
        let all = u32::try_from(MOST).unwrap_or(u32::MAX);
        let _ = crate::clock::timeout(within, self.free.acquire_many(all)).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(by) = self.by else { return };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(his) = taken.get_mut(&by) {
            *his = his.saturating_sub(1);
            if *his == 0 {
                taken.remove(&by);
            }
        }
    }
}

/// Who is counted as one; nobody on this machine.
fn whose(peer: IpAddr) -> Option<IpAddr> {
    match peer.to_canonical() {
        own if own.is_loopback() => None,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
        }
        v4 => Some(v4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_cannot_take_all_seats_and_gives_back_what_it_had() {
        let seats = Seats::new();
        let many: IpAddr = "192.0.2.1".parse().unwrap();
        let mut held = Vec::new();
        for _ in 0..MOST_EACH {
            held.push(seats.take(seats.free().await, many).unwrap());
        }
        assert!(seats.take(seats.free().await, many).is_none());
        assert!(seats.take(seats.free().await, "::ffff:192.0.2.1".parse().unwrap()).is_none());
        assert!(seats.take(seats.free().await, "192.0.2.2".parse().unwrap()).is_some());
        held.pop();
        assert!(seats.take(seats.free().await, many).is_some());
        drop(held);
        assert!(seats.taken.lock().unwrap().is_empty(), "nobody is remembered");
    }

    #[tokio::test]
    async fn a_network_of_addresses_counts_as_one_and_this_machine_as_none() {
        let seats = Seats::new();
        let mut held = Vec::new();
        for n in 0..MOST_EACH {
            held.push(seats.take(seats.free().await, format!("2001:db8::{n:x}").parse().unwrap()).unwrap());
        }
        assert!(seats.take(seats.free().await, "2001:db8::ffff".parse().unwrap()).is_none());
        assert!(seats.take(seats.free().await, "2001:db8:0:1::1".parse().unwrap()).is_some());
        for _ in 0..=MOST_EACH {
            held.push(seats.take(seats.free().await, "127.0.0.1".parse().unwrap()).unwrap());
        }
    }
}
