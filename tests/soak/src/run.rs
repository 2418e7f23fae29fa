//! Plays faults by seeds, several at a time, and keeps what came of each.
use crate::chance::Chance;
use crate::faults::Fault;
use crate::scene::{Ground, STANDS};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What came of one fault with all its seeds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Came {
    /// How many seeds were played to the end.
    pub(crate) played: usize,
    /// Seeds that broke an invariant, with what was said.
    pub(crate) failed: Vec<(u64, String)>,
    /// The longest.
    pub(crate) longest: Duration,
}

/// Plays each fault with each seed, `jobs` at a time, but begins none after `until`.
pub(crate) fn all(
    ground: &'static Ground,
    faults: &[Fault],
    seeds: std::ops::Range<u64>,
    jobs: usize,
    until: Instant,
) -> BTreeMap<&'static str, Came> {
    let mut plays: Vec<(Fault, u64)> =
        seeds.flat_map(|seed| faults.iter().map(move |fault| (*fault, seed))).collect();
    // Seed by seed, so that a run that is cut short has played each fault; what waits longest begins first.
    plays.sort_by_key(|(fault, seed)| (fault.takes < 60, *seed, std::cmp::Reverse(fault.takes)));
    let (next, came) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<&str, Came>::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((fault, seed)) = plays.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if Instant::now() + Duration::from_secs(fault.takes) > until {
                        continue;
                    }
                    let began = Instant::now();
                    let said = one(ground, fault, *seed);
                    let took = began.elapsed();
                    let mut came = came.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    let of = came.entry(fault.name).or_default();
                    of.played += 1;
                    of.longest = of.longest.max(took);
                    let outcome = if said.is_ok() { "holds" } else { "FAILED" };
                    eprintln!("  {:>6.1} s  {} seed {seed}: {outcome}", took.as_secs_f32(), fault.name);
                    if let Err(why) = said {
                        eprintln!("{why}");
                        of.failed.push((*seed, why));
                    }
                }
            });
        }
    });
    came.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What a failure's words begin with that came before the fault: it says nothing about what handles that.
pub(crate) const UNSET: &str = "before the scene stood: ";

/// Plays one fault with one seed.
///
/// # Errors
/// What was not as it must be.
pub(crate) fn one(ground: &'static Ground, fault: &Fault, seed: u64) -> Result<(), String> {
    let chance = Chance::new(seed, fault.name);
    STANDS.set(false);
    catch_unwind(AssertUnwindSafe(|| (fault.play)(ground, chance))).map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        format!("{}{said}", if STANDS.get() { "" } else { UNSET })
    })
}
