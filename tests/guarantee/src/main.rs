//! Holds `docs/guarantees.md` against the figures recorded in `target/guarantees`; with `CERTDRIFT_WRITE` writes it.
//! Without, it is enough that every guarantee has a figure and the page every row: figures may differ from run to run.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guarantees.md");
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    let (page, missing) = certdrift_guarantee::page(&stands);
    for name in &missing {
        // The soak is not part of a run of the tests.
        eprintln!("docs/guarantees.md: no test recorded a figure for {name}");
    }
    if std::env::var_os("CERTDRIFT_WRITE").is_some()
        && let Err(error) = std::fs::write(&path, &page)
    {
        eprintln!("docs/guarantees.md: {error}");
        return ExitCode::FAILURE;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let stale = certdrift_guarantee::ALL.iter().any(|g| !found.contains(&format!("| {} | ", g.what)));
    if stale {
        eprintln!("docs/guarantees.md is out of date: CERTDRIFT_WRITE=1 cargo xtask test");
    }
    let complete = missing.iter().all(|name| certdrift_guarantee::is_of_soak(name));
    if complete && !stale { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
