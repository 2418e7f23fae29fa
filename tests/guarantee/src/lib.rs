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

/// The page, from the figures recorded; the names without a figure beside it.
#[must_use]
pub fn page() -> (String, Vec<&'static str>) {
    let mut page = String::from(HEAD);
    let mut missing = Vec::new();
    for Guarantee { name, what, test } in ALL {
        let figure = std::fs::read_to_string(folder().join(name)).unwrap_or_else(|_| {
            missing.push(*name);
            String::new()
        });
        let _ = writeln!(page, "| {what} | {figure} | `{test}` |");
    }
    page.push_str(TAIL);
    (page, missing)
}

const HEAD: &str = "# Guarantees

<!-- Written by `CERTDRIFT_WRITE=1 cargo xtask test`: each figure is what the test found in that run. -->

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

## Not proven here
Kong itself and ngx_wasm_module are in no registry that our tests reach. The filter runs against a host of our own that
behaves as Kong 3.9.1 was measured to (`tests/src/host`), and in a real Envoy; the tap runs in Debian's nginx.
";
