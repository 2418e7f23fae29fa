//! Sorting in little code: the filter's module is bounded.

/// The standard library's sort takes 3 KB of the filter's module; this one takes 200 bytes.
pub(super) fn shell_sort<T>(items: &mut [T], after: &dyn Fn(&T, &T) -> bool) {
    // Ciura's gaps, and on by 2.25 from there.
    for gap in [5985, 2660, 1182, 701, 301, 132, 57, 23, 10, 4, 1] {
        for from in gap..items.len() {
            let mut at = from;
            while let Some(before) = at.checked_sub(gap) {
                match (items.get(before), items.get(at)) {
                    (Some(left), Some(right)) if after(left, right) => items.swap(before, at),
                    _ => break,
                }
                at = before;
            }
        }
    }
}
