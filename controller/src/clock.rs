//! The clocks, for the rim: the one file that reads them, and waits.
//!
//! Clippy bans both everywhere else (`clippy.toml`); what calls these functions is listed in [`tests`](self), and a
//! file that is not is given the time by who calls it. So decisions are tested without a sleep.
use crate::converge::Millis;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::time::{Interval, MissedTickBehavior, error::Elapsed};

/// A difference to the system's clock above this is a jump (a suspended machine, a corrected clock).
const JUMP: i64 = 2_000;

fn system() -> Millis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The wall clock: monotonic, set by the system's clock once, and again only when that has jumped. Convergence wants a
/// clock that does not step; windows, graces and what people read want the right time.
#[must_use]
pub fn now() -> Millis {
    static ANCHOR: OnceLock<Mutex<(Instant, Millis)>> = OnceLock::new();
    let anchor = ANCHOR.get_or_init(|| Mutex::new((Instant::now(), system())));
    let mut anchor = anchor.lock().unwrap_or_else(PoisonError::into_inner);
    let elapsed = i64::try_from(anchor.0.elapsed().as_millis()).unwrap_or(i64::MAX);
    let now = Millis(anchor.1.0.saturating_add(elapsed));
    let system = system();
    if now.since(system).abs() > JUMP {
        *anchor = (Instant::now(), system);
        return system;
    }
    now
}

/// A moment to count from.
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

/// The time since that moment.
#[must_use]
pub fn since(moment: Instant) -> Duration {
    moment.elapsed()
}

/// Waits so long.
pub async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits until then.
pub async fn sleep_until(moment: Instant) {
    tokio::time::sleep_until(moment.into()).await;
}

/// What comes of `work`, within so long.
///
/// # Errors
/// It took longer, and was dropped.
pub async fn timeout<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    tokio::time::timeout(time, work).await
}

/// Ticks at once and then every `time`; ticks that were missed are not made up for.
#[must_use]
pub fn ticks(time: Duration) -> Interval {
    let mut ticks = tokio::time::interval(time);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    /// The rim: the files that read a clock or wait. Whatever else is in the crate gets the time as an argument.
    const RIM: [&str; 40] = [
        "cli/audit/look.rs",
        "cli/audit/pass.rs",
        "cli/bundle/gather/controller.rs",
        "cli/bundle/mod.rs",
        "cli/drill/mod.rs",
        "cli/history/mod.rs",
        "cli/check/mod.rs",
        "cli/doctor/look/answers.rs",
        "cli/doctor/look/gateways.rs",
        "cli/doctor/look/mod.rs",
        "cli/ledger/mod.rs",
        "cli/status/mod.rs",
        "cluster/call.rs",
        "cluster/forward.rs",
        "cluster/kinds.rs",
        "cluster/server.rs",
        "cluster/watch/drive.rs",
        "publish/config_map/mod.rs",
        "lead/lease.rs",
        "observe/endpoint.rs",
        "observe/handshake.rs",
        "observe/http.rs",
        "observe/pushes.rs",
        "observe/watch/mod.rs",
        "observe/watch/take.rs",
        "remedy/command.rs",
        "rehearse/ask.rs",
        "remedy/kube_exec.rs",
        "remedy/rollout.rs",
        "run/cluster.rs",
        "run/drive.rs",
        "run/events.rs",
        "run/mod.rs",
        "server/listen.rs",
        "server/seats.rs",
        "source/directory.rs",
        "source/watch.rs",
        "remedy/tests.rs",
        "run/stored_at.rs",
        "server/tests.rs",
    ];

    fn rust_files(folder: &Path, to: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                rust_files(&path, to);
            } else if path.extension().is_some_and(|e| e == "rs") {
                to.push(path);
            }
        }
    }

    #[test]
    fn only_the_rim_reads_a_clock() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        rust_files(&root, &mut files);
        assert!(files.len() > 100, "{}", files.len());
        let reads = |file: &PathBuf| {
            let code = std::fs::read_to_string(file).unwrap();
            // Whole names only, so that a call is always written `clock::…` and found here.
            assert!(!code.contains("crate::clock::{") && !code.contains("crate::clock as"), "{file:?}");
            ["now", "instant", "since", "sleep", "timeout", "ticks"]
                .iter()
                .any(|name| code.contains(&format!("clock::{name}")))
        };
        let name = |file: &PathBuf| file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let found: BTreeSet<String> =
            files.iter().filter(|f| **f != root.join("clock.rs")).filter(|f| reads(f)).map(name).collect();
        assert_eq!(
            found,
            RIM.map(str::to_owned).into(),
            "a pure file is given the time; who may read it is in RIM"
        );
    }
}
