//! Samples of one figure: the least, the middle and the most of them, and ratios of pairs. Pure.

/// Samples in the order they were taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// These.
    pub(crate) fn new(samples: impl IntoIterator<Item = f64>) -> Self {
        Self(samples.into_iter().collect())
    }

    /// A figure that repeats exactly: once is enough.
    pub(crate) fn exact(figure: f64) -> Self {
        Self(vec![figure])
    }

    /// One more.
    pub(crate) fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The least; not a number when there is none.
    pub(crate) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The most; not a number when there is none.
    pub(crate) fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// The middle one; of an even number the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
        let half = sorted.len() / 2;
        if sorted.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.wrapping_sub(1)), at(half)) }
    }

    /// The figure that this share of them does not exceed; not a number when there is none.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// This over `other`, pair by pair: both of a pair were taken one right after the other, so that what the machine did
    /// meanwhile stands in both.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self::new(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs))
    }
}

/// In which order `variants` are measured in each of `rounds`: A B C, C B A, A B C …, so that a drift of the machine
/// favours none of them.
pub(crate) fn interleaved(variants: usize, rounds: usize) -> Vec<usize> {
    let forward = || 0..variants;
    (0..rounds)
        .flat_map(|round| -> Vec<usize> {
            if round % 2 == 0 { forward().collect() } else { forward().rev().collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let samples = Samples::new([9.0, 1.0, 3.0, 2.0]);
        assert_eq!((samples.least(), samples.median(), samples.most()), (1.0, 2.5, 9.0));
        assert_eq!(Samples::new([9.0, 1.0, 2.0]).median(), 2.0);
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn ratios_are_of_the_pairs_that_were_taken_together() {
        let (slow, fast) = (Samples::new([2.0, 20.0]), Samples::new([1.0, 10.0]));
        assert_eq!(slow.over(&fast), Samples::new([2.0, 2.0]));
    }

    #[test]
    fn every_other_round_is_measured_backwards() {
        assert_eq!(interleaved(3, 3), [0, 1, 2, 2, 1, 0, 0, 1, 2]);
    }
}
