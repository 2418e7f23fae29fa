//! `cargo xtask bench`: certdrift beside its peers, floors and targets, measured in one run.
//!
//! Without names everything is measured and `docs/performance.md` written; with names only those are, and printed.
#![forbid(unsafe_code)]

mod ask;
mod client;
mod controller;
mod drift;
mod envoy;
mod handshakes;
mod ledger;
mod machine;
mod page;
mod process;
mod running;
mod sample;
mod tap;
mod wrk;

use anyhow::{Context as _, Result, bail};
use page::Section;
use std::process::ExitCode;
use xtask::progress::Step;

/// As the binary that ships has it: what is measured of its code here is measured with its allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A part of the page: its name, and what measures it.
type Part = (&'static str, fn() -> Result<Section>);

const SECTIONS: &[Part] = &[
    ("handshakes", handshakes::section),
    ("envoy", envoy::section),
    ("tap", tap::section),
    ("ledger", ledger::section),
    ("drift", drift::section),
    ("controller", controller::section),
];

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

fn measure(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !SECTIONS.iter().any(|(known, _)| known == name)) {
        let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
        bail!("nothing is called {unknown:?}; there are: {}", known.join(", "));
    }
    let machine = machine::lines()?;
    for line in &machine {
        println!("{line}");
    }
    let mut sections = Vec::new();
    for (name, section) in SECTIONS {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let step = Step::start(format!("measuring: {name}"));
        let section = section().with_context(|| (*name).to_owned())?;
        step.done("");
        print!("{}", page::text(&section));
        sections.push(section);
    }
    if names.is_empty() {
        let path = xtask::workspace::root().join("docs/performance.md");
        std::fs::write(&path, page::markdown(&machine, &sections)).context("docs/performance.md")?;
        println!("\nwritten: docs/performance.md");
    }
    Ok(())
}
