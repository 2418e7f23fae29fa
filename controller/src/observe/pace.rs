//! Politeness: handshakes are a gateway's dearest operation, so each endpoint gets so many a second and no more.
//! Pure: the time since some fixed moment is an argument.
use std::time::Duration;

/// A bucket of tokens, one a handshake; it holds a second's worth.
#[derive(Clone, Debug)]
pub struct Pace {
    per_second: f64,
    tokens: f64,
    at: Duration,
}

impl Pace {
    /// So many handshakes a second, at least one; full at first.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, tokens: per_second, at: Duration::ZERO }
    }

    /// Takes `n` tokens (never more than the bucket holds), or says how long to wait for them.
    ///
    /// # Errors
    /// Not yet: try again after this long.
    pub fn take(&mut self, n: u32, now: Duration) -> Result<(), Duration> {
        let earned = now.saturating_sub(self.at).as_secs_f64() * self.per_second;
        self.at = self.at.max(now);
        self.tokens = (self.tokens + earned).min(self.per_second);
        let wanted = f64::from(n).min(self.per_second);
        if self.tokens + 1e-6 >= wanted {
            self.tokens -= wanted;
            return Ok(());
        }
        Err(Duration::from_secs_f64((wanted - self.tokens) / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_sees_more_than_twice_the_rate_and_a_minute_sees_the_rate() {
        let mut pace = Pace::new(20);
        let mut taken = Vec::new();
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(60) {
            match pace.take(1, now) {
                Ok(()) => taken.push(now),
                Err(wait) => now += wait,
            }
        }
        assert!((1_200..=1_220).contains(&taken.len()), "{}", taken.len());
        for start in &taken {
            let within =
                taken.iter().filter(|t| (*start..*start + Duration::from_secs(1)).contains(*t)).count();
            assert!(within <= 40, "{within} within a second of {start:?}");
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_steps_back_gives_nothing() {
        let mut pace = Pace::new(1);
        assert_eq!(pace.take(1, Duration::from_secs(10)), Ok(()));
        assert!(pace.take(1, Duration::from_secs(10)).is_err());
        assert!(pace.take(1, Duration::from_secs(5)).is_err());
        assert_eq!(pace.take(1, Duration::from_secs(11)), Ok(()));
    }

    #[test]
    fn a_pair_at_one_a_second_is_looked_at_all_the_same() {
        assert_eq!(Pace::new(1).take(3, Duration::ZERO), Ok(()));
    }
}
