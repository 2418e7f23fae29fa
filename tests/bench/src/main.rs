//! `cargo xtask bench`: certdrift beside its peers, floors and targets, measured in one run.
//!
//! Without names everything on one machine is measured and its part of `docs/performance.md` written; with `--kubernetes`
//! what is measured in a cluster; with names only those are, and printed.
#![forbid(unsafe_code)]

mod ask;
mod client;
mod controller;
mod drift;
mod envoy;
mod handshakes;
mod kubernetes;
mod ledger;
mod machine;
mod page;
mod process;
mod running;
mod sample;
mod tap;
mod wrk;

use anyhow::{Context as _, Result, bail};
use page::{Part, Section};
use std::process::ExitCode;
use xtask::progress::Step;

/// As the binary that ships has it: what is measured of its code here is measured with its allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A section of the page: its name, and what measures it.
type Measured = (&'static str, fn() -> Result<Section>);

const SECTIONS: &[Measured] = &[
    ("handshakes", handshakes::section),
    ("envoy", envoy::section),
    ("tap", tap::section),
    ("ledger", ledger::section),
    ("drift", drift::section),
    ("controller", controller::section),
];
const CLUSTER: &[Measured] = &[("kubernetes", kubernetes::section)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((client, rest)) if client == client::COMMAND => client::run(rest),
        _ => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn all() -> impl Iterator<Item = &'static Measured> {
    SECTIONS.iter().chain(CLUSTER)
}

fn measure(arguments: &[String]) -> Result<()> {
    let (part, names) = match arguments.split_first() {
        Some((first, rest)) if first == "--kubernetes" => (Part::Cluster, rest),
        _ => (Part::Alone, arguments),
    };
    if let Some(unknown) = names.iter().find(|name| !all().any(|(known, _)| known == name)) {
        let known: Vec<&str> = all().map(|(name, _)| *name).collect();
        bail!("nothing is called {unknown:?}; there are: {}", known.join(", "));
    }
    let wanted: Vec<&Measured> = match (part, names) {
        (Part::Alone, []) => SECTIONS.iter().collect(),
        (Part::Cluster, []) => CLUSTER.iter().collect(),
        (_, names) => all().filter(|(name, _)| names.iter().any(|wanted| wanted == name)).collect(),
    };
    let machine = machine::lines()?;
    for line in &machine {
        println!("{line}");
    }
    let mut sections = Vec::new();
    for (name, section) in wanted {
        let step = Step::start(format!("measuring: {name}"));
        let section = section().with_context(|| (*name).to_owned())?;
        step.done("");
        print!("{}", page::text(&section));
        sections.push(section);
    }
    if names.is_empty() {
        let path = xtask::workspace::root().join("docs/performance.md");
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, page::markdown(&before, part, &machine, &sections))
            .context("docs/performance.md")?;
        println!("\nwritten: docs/performance.md");
    }
    Ok(())
}
