//! `cargo xtask`: the one command that builds, tests, shows and measures certdrift.
#![forbid(unsafe_code)]

use anyhow::Result;
use std::process::ExitCode;

/// A command: its name, what `cargo xtask` says of it, and what it does with the arguments after its name.
type Command = (&'static str, &'static str, fn(&[String]) -> Result<()>);

const COMMANDS: &[Command] = &[
    (
        "demo",
        "a renewal, drift, healing and proof in under a minute; --kubernetes: in a real cluster, in three; --keep leaves it running",
        xtask::demo::run,
    ),
    ("test", "run all tests, in real gateways; --long for the long random ones", xtask::test::run),
    (
        "cluster",
        "up, down, list, exec: a real Kubernetes cluster, in namespaces of its own",
        xtask::cluster::run,
    ),
    ("filter", "build the filter: target/filter/certdrift.wasm and certdrift.meta.json", filter),
    (
        "bench",
        "measure beside peers and floors, and write docs/performance.md; --kubernetes: in a cluster; names: only those",
        xtask::bench::run,
    ),
    (
        "fuzz",
        "fuzz every parser of foreign bytes, 30 s each; --seconds N, or names of targets",
        xtask::fuzz::run,
    ),
    (
        "soak",
        "named faults by seeds, renewals by the thousand, a search for private keys: figures for docs/guarantees.md; --short: 3 minutes; --broken: builds with a line broken; names: only those faults",
        xtask::soak::run,
    ),
    ("ci", "check formatting, lints, documentation and dependencies", xtask::ci::run),
    ("clean", "remove target/filter; --cache for the installed tools too", clean),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        list();
        return ExitCode::SUCCESS;
    };
    let Some((_, _, run)) = COMMANDS.iter().find(|(known, _, _)| known == name) else {
        eprintln!("cargo xtask: no command {name:?}\n");
        list();
        return ExitCode::from(64);
    };
    match run(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    println!("cargo xtask COMMAND\n");
    for (name, what, _) in COMMANDS {
        println!("  {name:<8} {what}");
    }
}

fn filter(_: &[String]) -> Result<()> {
    let built = xtask::filter::build()?;
    println!("{}  {}", built.sha256, built.wasm.display());
    Ok(())
}

fn clean(arguments: &[String]) -> Result<()> {
    let mut folders = vec![xtask::workspace::target().join("filter")];
    if arguments.iter().any(|argument| argument == "--cache") {
        folders.push(xtask::cache::folder());
    }
    for folder in folders {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
            println!("removed {}", folder.display());
        }
    }
    Ok(())
}
