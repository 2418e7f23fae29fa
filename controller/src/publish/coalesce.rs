//! When to publish: the first change at once, what follows closely together, and never later than a bound. Pure.
//!
//! Time is monotonic, as the duration since any fixed moment.
use std::time::Duration;

/// Puts changes together.
#[derive(Clone, Debug)]
pub struct Coalesce {
    quiet: Duration,
    longest: Duration,
    last: Option<Duration>,
    pending: Option<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    first: Duration,
    newest: Duration,
}

impl Coalesce {
    /// Changes that come within `quiet` of the last publication or change wait for each other, the first of them at most `longest`.
    #[must_use]
    pub const fn new(quiet: Duration, longest: Duration) -> Self {
        Self { quiet, longest, last: None, pending: None }
    }

    /// Something changed. Who leaves a change to another for a while says so by a later time; one that is at once is not held
    /// up by it.
    pub fn changed(&mut self, now: Duration) {
        let first = self.pending.map_or(now, |p| p.first.min(now));
        self.pending = Some(Pending { first, newest: now });
    }

    /// When to publish; `None` while nothing has changed. A moment that has passed means now.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        let pending = self.pending?;
        let calm = match self.last {
            Some(last) if pending.first < last.saturating_add(self.quiet) => {
                pending.newest.saturating_add(self.quiet)
            }
            _ => pending.first,
        };
        Some(calm.min(pending.first.saturating_add(self.longest)))
    }

    /// All changes so far were published.
    pub fn published(&mut self, now: Duration) {
        self.last = Some(now);
        self.pending = None;
    }
}

impl Default for Coalesce {
    /// 3 s of quiet, 10 s at the longest: five re-issues in ten seconds are two publications, the first at once.
    fn default() -> Self {
        Self::new(Duration::from_secs(3), Duration::from_secs(10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds changes (milliseconds) and gives the times of publication.
    fn publications(changes: &[u64]) -> Vec<u64> {
        let mut coalesce = Coalesce::default();
        let mut out = Vec::new();
        let mut changes = changes.iter().map(|ms| Duration::from_millis(*ms)).peekable();
        loop {
            match (coalesce.due(), changes.peek().copied()) {
                (Some(due), next) if next.is_none_or(|next| due < next) => {
                    out.push(u64::try_from(due.as_millis()).unwrap());
                    coalesce.published(due);
                }
                (_, Some(next)) => {
                    coalesce.changed(next);
                    changes.next();
                }
                (_, None) => return out,
            }
        }
    }

    #[test]
    fn what_is_left_to_another_for_a_while_does_not_hold_up_what_comes_at_once() {
        let mut coalesce = Coalesce::new(Duration::from_millis(20), Duration::from_millis(100));
        coalesce.changed(Duration::from_secs(5));
        assert_eq!(coalesce.due(), Some(Duration::from_secs(5)));
        coalesce.changed(Duration::from_millis(300));
        assert_eq!(coalesce.due(), Some(Duration::from_millis(300)));
    }

    #[test]
    fn the_first_change_is_published_at_once() {
        assert_eq!(publications(&[0]), [0]);
        assert_eq!(publications(&[0, 60_000]), [0, 60_000]);
    }

    #[test]
    fn five_reissues_in_ten_seconds_are_two_publications() {
        assert_eq!(publications(&[0, 2_500, 5_000, 7_500, 10_000]), [0, 12_500]);
        assert_eq!(publications(&[0, 10, 20, 30]), [0, 3_030]);
    }

    #[test]
    fn changes_without_end_are_published_all_the_same() {
        let changes: Vec<u64> = (0..60).map(|n| n * 1_000).collect();
        let published = publications(&changes);
        assert!(published.windows(2).all(|w| w[1] - w[0] <= 13_000), "{published:?}");
        assert!(published.len() >= 5, "{published:?}");
    }
}
