//! What is proven. A test that proves something [`record`]s the figure it found; `cargo xtask test` then holds
//! `docs/guarantees.md` against the list, and `CERTDRIFT_WRITE=1 cargo xtask test` writes it.
#![forbid(unsafe_code)]

use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};

/// One guarantee.
#[derive(Clone, Copy, Debug)]
pub struct Guarantee {
    /// Under which its figure is recorded.
    pub name: &'static str,
    /// What holds.
    pub what: &'static str,
    /// The test that proves it: `FILE::TEST`, or the file.
    pub test: &'static str,
}

macro_rules! guarantees {
    ($($name:literal, $what:literal, $test:literal;)*) => {
        /// All of them, in the order of the page.
        pub const ALL: &[Guarantee] = &[$(Guarantee { name: $name, what: $what, test: $test }),*];
    };
}

guarantees! {
    "matching", "Host matching agrees with a slow and obvious second implementation of Kong's and Envoy's rules",
        "contract/tests/matching_agrees_with_the_rules.rs";
    "verdict", "The verdict agrees with the table of the design, row by row",
        "contract/tests/verdict_agrees_with_the_table.rs";
    "json", "Our pull parser reads what serde_json reads, and refuses what it refuses",
        "contract/tests/json_agrees_with_serde.rs";
    "traps-exhaustive", "The shipped filter: no trap, `on_configure` true, whatever status any host call answers",
        "tests/tests/filter_never_traps";
    "traps-random", "The shipped filter: no trap in random call sequences with faults (`--long`: 1,000,000)",
        "tests/tests/filter_never_traps";
    "memory-requests", "The filter's memory stays flat over matching requests", "tests/tests/filter_memory_is_flat.rs";
    "memory-strangers", "The filter's memory and its set of metrics stay the same whatever names strangers send",
        "tests/tests/filter_memory_is_flat.rs";
    "request-calls", "Host calls of a matching request", "tests/tests/filter_cost.rs";
    "request-fuel", "Instructions of a matching request above a filter that does nothing (wasmtime fuel), with 1 and with 10,000 hosts",
        "tests/tests/filter_cost.rs";
    "part-fuel", "Instructions of a change of one part among 10,000 hosts (wasmtime fuel)", "tests/tests/filter_cost.rs";
    "size", "Size of `certdrift.wasm` (at most 120 KiB)", "tests/tests/filter_cost.rs";
    "tap-cells", "The tap says what `openssl s_client` says: TLS version × keys × SNI × full or resumed × HTTP version, two workers",
        "tests/tests/tap_agrees_with_openssl.rs";
    "odd-certificates", "`check` reads the same fingerprint as openssl, or names the certificate unobservable",
        "tests/tests/check_odd_certificates";
    "invariants-random", "The nine invariants of convergence hold in random histories (`--long`: 100,000)",
        "controller/src/converge/tests/random.rs";
    "invariants-model", "The nine invariants hold in every state of a bounded model, searched exhaustively (stateright)",
        "controller/src/converge/tests/model.rs";
    "soak-faults", "Named faults of the whole loop, by seeds: the invariants hold after each", "tests/soak/src/faults";
    "soak-broken", "Builds with the line broken that handles a fault: the fault's check catches it", "tests/broken";
    "soak-renewals", "Renewals with controllers killed and leadership moved: each is seen published, no revision goes back, nothing is told or done that need not be", "tests/soak/src/renewals.rs";
    "soak-keys", "Private keys of Secrets that are found after a run with trace logs: in memory, logs, metrics, state, ledgers, Events, history", "tests/soak/src/keys";
    "diagnosis", "No fact that becomes known makes one cause of a drift another: only \"cannot tell\" becomes a cause",
        "controller/src/diagnose/serving/tests.rs";
}

fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("guarantees")
}

/// Keeps the figure that a proving test found.
///
/// # Panics
/// When the name is none of [`ALL`], or the figure cannot be written: the test must not pass then.
pub fn record(name: &str, figure: impl Display) {
    assert!(ALL.iter().any(|guarantee| guarantee.name == name), "{name} is no guarantee of the list");
    std::fs::create_dir_all(folder()).expect("target/guarantees");
    std::fs::write(folder().join(name), figure.to_string()).expect("the figure is written");
}

/// Whether a figure is found by `cargo xtask soak`, which takes an hour and is not part of a run of the tests.
#[must_use]
pub fn is_of_soak(name: &str) -> bool {
    name.starts_with("soak-")
}

/// The page, from the figures recorded; the names without a figure beside it. A figure that was not found in
/// this folder is taken from the page as it `stands`, which is no fault of the soak's alone.
#[must_use]
pub fn page(stands: &str) -> (String, Vec<&'static str>) {
    let mut page = String::from(HEAD);
    let mut missing = Vec::new();
    for Guarantee { name, what, test } in ALL {
        let (begin, end) = (format!("| {what} | "), format!(" | `{test}` |"));
        let before = stands.lines().find_map(|line| line.strip_prefix(&begin)?.strip_suffix(&end));
        let figure = std::fs::read_to_string(folder().join(name)).unwrap_or_else(|_| {
            // What stands is not struck out by a run that has not looked.
            if before.is_none() || !is_of_soak(name) {
                missing.push(*name);
            }
            let none = if is_of_soak(name) { "not run to its end yet" } else { "" };
            before.filter(|before| !before.is_empty()).unwrap_or(none).to_owned()
        });
        let _ = writeln!(page, "{begin}{figure}{end}");
    }
    page.push_str(TAIL);
    page.push_str(&table(stands));
    (page, missing)
}

/// The table of faults, by which the soak was last run to its end.
fn table(stands: &str) -> String {
    let before = || stands.split_once(FAULTS).map(|(_, table)| table.to_owned());
    let table = std::fs::read_to_string(folder().join("soak-table")).ok().or_else(before).unwrap_or_default();
    if table.is_empty() { String::new() } else { format!("{FAULTS}{table}") }
}

/// Keeps the table of faults.
///
/// # Panics
/// When it cannot be written.
pub fn record_table(table: &str) {
    std::fs::create_dir_all(folder()).expect("target/guarantees");
    std::fs::write(folder().join("soak-table"), table).expect("the table is written");
}

const FAULTS: &str = "
## The faults of the soak
";

const HEAD: &str = "# Guarantees

<!-- Written by `CERTDRIFT_WRITE=1 cargo xtask test`: each figure is what the test found in that run. Those of
`cargo xtask soak`, which takes an hour, are what it found when it ran last. -->

| what holds | figure | proven by |
|---|---|---|
";

const TAIL: &str = "
## The nine invariants of convergence
1. No remedy towards an invalid certificate.
2. At most one remedy in flight per gateway, a minimum interval, a budget per hour, windows for disruptive ones.
3. Only drift that outlived its grace, was seen twice, and was seen by a fresh handshake, is healed.
4. Unreachable, unknown, declared or starting is never healed.
5. Every drift ends converged, or exhausted and alerting, within a bounded time.
6. After each remedy the wire is checked before the next.
7. Mode `observe` acts on nothing.
8. A replay of the same events gives the same actions.
9. Nothing is restarted while another rollout runs, nor a single replica or against a disruption budget, unless told to.

## What the soak counts
`cargo xtask soak` plays each fault below with many seeds, which vary moments, lengths and orders, against the real
controller. After each it holds what was seen from outside (handshakes and posts at a stand-in for a gateway, every ledger
that was published, the history) against the invariants: no act while something worse is stored (1), an interval between two
acts and never two at one time (2), two looks and the grace before the first (3), none for a gateway that does not answer
(4), converged or told within 90 s (5), a look between two acts (6), none in mode `observe` (7), nothing new after a crash
with nothing new to see, the same ledger to the byte (8); and further: no revision goes back, nothing is ever expected that
is not the newest good certificate or one before it, no drift is told that was none, what is called over was seen on the
wire, and ledger, memory and wire are in the end what is stored. (9) is held by the random histories and the model above.

`--broken` breaks the line that handles a fault (`tests/broken/FAULT.patch`), builds that, and wants the fault's play to fail.

A renewal of the ten thousand is seen when the ledger's ConfigMap, as the API server keeps it, names its fingerprint as the
host's current one; the next renewal of that host is written only then, so that each is seen by itself, and within 90 s
whoever is killed meanwhile. Renewals that follow each other sooner are one convergence: of those the newest must be
published (fault `five-reissues`).

The memory that is searched for private keys is all that the process can write to, as a core dump holds it, three seconds
after its last work. What the API server sends passes through the buffers of TLS and HTTP: what was freed of them is
overwritten, and what was read last stands in those of connections that live.

## Not proven here
Kong itself and ngx_wasm_module are in no registry that our tests reach. The filter runs against a host of our own that
behaves as Kong 3.9.1 was measured to (`tests/src/host`), and in a real Envoy; the tap runs in Debian's nginx.
";
