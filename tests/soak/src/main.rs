//! `cargo xtask soak`: faults by seeds, broken builds, renewals by the thousand, and a search for private keys.
#![forbid(unsafe_code)]

mod api;
mod audit;
mod broken;
mod chance;
mod faults;
mod follow;
mod keys;
#[expect(dead_code, reason = "shared with the tests")]
#[path = "../../tests/cluster/proxy.rs"]
mod proxy;
mod renewals;
mod run;
mod scene;
mod stand_in;

use anyhow::{Context as _, Result, bail};
use api::Api;
use certdrift_cluster::{Cluster, Kind, Own};
use certdrift_harness::certs::Ca;
use faults::Fault;
use renewals::Measure;
use scene::Ground;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Set for a process that plays one fault with a broken build.
const CHILD: &str = "CERTDRIFT_SOAK_CHILD";
/// How such a process ends when the check has caught it.
const CAUGHT: u8 = 3;
/// What the line begins with that says why.
const SAID: &str = "caught: ";

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The form of three minutes.
    short: bool,
    /// A tenth of the renewals.
    tenth: bool,
    /// No cluster: what needs one is left out.
    no_cluster: bool,
    /// Builds with a line broken, in place of the build that is to be good.
    broken: bool,
    /// Only these faults.
    names: Vec<String>,
    /// How many seeds, from which on.
    seeds: Option<u64>,
    seed: u64,
    jobs: Option<usize>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = wanted(&arguments).and_then(|wanted| {
        // Threads that are started from here on are in the cluster's network.
        std::thread::spawn(move || soak(&wanted)).join().unwrap_or_else(|_| bail!("it panicked"))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Caught>() => {
            eprintln!("{SAID}{error}");
            ExitCode::from(CAUGHT)
        }
        Err(error) => {
            eprintln!("cargo xtask soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A play failed, and it failed by what it looks at: the scene had stood.
#[derive(Debug)]
struct Caught(String);

impl std::fmt::Display for Caught {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Caught {}

impl Wanted {
    /// Whether this part is played: what is named, or all.
    fn wants(&self, part: &str) -> bool {
        !self.broken && (self.names.is_empty() || self.names.iter().any(|name| name == part))
    }

    /// Keeps a figure for the page; those of the short form are not what is promised.
    fn record(&self, name: &str, figure: &str) {
        eprintln!("{name}: {figure}");
        if !self.short {
            certdrift_guarantee::record(name, figure);
        }
    }

    fn measure(&self) -> Measure {
        if self.short {
            Measure { renewals: 240, kills: 10, moves: 4, gateways: 2 }
        } else if self.tenth {
            Measure { renewals: 1_000, kills: 50, moves: 10, gateways: 4 }
        } else {
            Measure { renewals: 10_000, kills: 500, moves: 100, gateways: 4 }
        }
    }
}

/// What can be named besides faults.
const PARTS: [&str; 2] = ["renewals", "keys"];

fn wanted(arguments: &[String]) -> Result<Wanted> {
    let mut wanted = Wanted::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut number = || -> Result<u64> {
            rest.next().and_then(|n| n.parse().ok()).with_context(|| format!("{argument} wants a number"))
        };
        match argument.as_str() {
            "--short" => wanted.short = true,
            "--no-cluster" => wanted.no_cluster = true,
            "--tenth" => wanted.tenth = true,
            "--broken" => wanted.broken = true,
            "--seeds" => wanted.seeds = Some(number()?),
            "--seed" => wanted.seed = number()?,
            "--jobs" => wanted.jobs = Some(usize::try_from(number()?)?),
            name if !name.starts_with('-') => wanted.names.push(name.to_owned()),
            other => bail!(
                "no option {other}; there are --short, --broken, --no-cluster, --tenth (of the renewals), --seeds N, --seed N, --jobs N and names"
            ),
        }
    }
    Ok(wanted)
}

/// A row a fault, for the page.
fn table(faults: &[Fault], came: &BTreeMap<&'static str, run::Came>) -> String {
    let mut table = String::from("| fault | what happens | beside | seeds |\n|---|---|---|---|\n");
    for fault in faults {
        let beside = if fault.in_cluster { "an API server" } else { "files" };
        let seeds = came.get(fault.name).map_or(0, |of| of.played);
        table.push_str(&format!("| `{}` | {} | {beside} | {seeds} |\n", fault.name, fault.what));
    }
    table
}

fn soak(wanted: &Wanted) -> Result<()> {
    let faults: Vec<Fault> = faults::all()
        .into_iter()
        .filter(|fault| wanted.names.is_empty() || wanted.names.iter().any(|name| name == fault.name))
        .collect();
    if faults.is_empty() && !PARTS.iter().any(|part| wanted.wants(part)) {
        bail!(
            "no fault of that name; there are: {}",
            faults::all().iter().map(|f| f.name).collect::<Vec<_>>().join(" ")
        );
    }
    if std::env::var_os(CHILD).is_none() {
        broken::each_applies()?;
    }
    // Built outside, where the network is.
    xtask::build::certdrift()?;
    let mut own = None;
    let asked = wanted.no_cluster.then(|| "as asked: --no-cluster".to_owned());
    let cluster = match asked.or_else(certdrift_cluster::up::obstacle) {
        Some(obstacle) => {
            eprintln!("faults that need a cluster are left out: {obstacle}");
            None
        }
        None if std::env::var_os(certdrift_cluster::cluster::SHARED).is_some() => Some(Cluster::api_only()?),
        None => {
            let cluster = Own::start("soak", Kind::ApiOnly)?;
            Some((**own.insert(cluster)).clone())
        }
    };
    let cluster = match cluster {
        Some(cluster) => {
            cluster.enter()?;
            let api = Api::new(&cluster)?;
            Some((cluster, api))
        }
        None => None,
    };
    // For as long as the process lives: threads of a scene may outlive it.
    let ground: &'static Ground = Box::leak(Box::new(Ground { cluster, ca: Ca::new("certdrift soak CA")? }));
    let (faults, left_out): (Vec<Fault>, Vec<Fault>) =
        faults.into_iter().partition(|fault| ground.cluster.is_some() || !fault.in_cluster);
    if !left_out.is_empty() {
        eprintln!("left out: {}", left_out.iter().map(|f| f.name).collect::<Vec<_>>().join(" "));
    }
    if wanted.broken {
        return broken::each_is_caught(ground, &faults, wanted);
    }
    if ground.cluster.is_some() && wanted.wants("keys") {
        let figure = keys::run(ground, if wanted.short { 100 } else { 1_000 })?;
        wanted.record("soak-keys", &figure);
    }
    if ground.cluster.is_some() && wanted.wants("renewals") {
        let figure = renewals::run(ground, wanted.measure(), wanted.seed)?;
        wanted.record("soak-renewals", &figure);
    }
    if !faults.is_empty() {
        play(ground, &faults, wanted)?;
    }
    drop(own);
    Ok(())
}

/// Plays the faults, and tells what came of them.
fn play(ground: &'static Ground, faults: &[Fault], wanted: &Wanted) -> Result<()> {
    let minutes = if wanted.short { 2 } else { 45 };
    let seeds = wanted.seeds.unwrap_or(if wanted.short { 1 } else { 20 });
    let began = Instant::now();
    let until = began + Duration::from_secs(minutes * 60);
    let jobs = wanted.jobs.unwrap_or(12);
    let came = run::all(ground, faults, wanted.seed..wanted.seed + seeds, jobs, until);
    let (plays, failed) =
        came.values().fold((0, 0), |(plays, failed), of| (plays + of.played, failed + of.failed.len()));
    let mut unplayed = Vec::new();
    for fault in faults {
        let of = came.get(fault.name).cloned().unwrap_or_default();
        eprintln!(
            "{:>4} seeds, {:>2} failed, {:>5.1} s  {}: {}",
            of.played,
            of.failed.len(),
            of.longest.as_secs_f32(),
            fault.name,
            fault.what
        );
        if of.played == 0 {
            unplayed.push(fault.name);
        }
    }
    eprintln!("{} faults, {plays} plays, {failed} failed, {:?}", faults.len(), began.elapsed());
    if wanted.names.is_empty() && !wanted.short && failed == 0 {
        let least = came.values().map(|of| of.played).min().unwrap_or_default();
        let figure =
            format!("{} faults × {least} seeds or more, {plays} plays, 0 broke an invariant", came.len());
        wanted.record("soak-faults", &figure);
        certdrift_guarantee::record_table(&table(faults, &came));
    }
    if !unplayed.is_empty() && !wanted.short {
        bail!("not played in time: {}", unplayed.join(" "));
    }
    let first = came.values().flat_map(|of| &of.failed).next();
    if let (Some((_, why)), true) = (first, std::env::var_os(CHILD).is_some()) {
        let line = why.lines().next().unwrap_or_default().to_owned();
        if why.starts_with(run::UNSET) {
            bail!(line);
        }
        return Err(Caught(line).into());
    }
    if failed > 0 {
        bail!("{failed} of {plays} plays failed");
    }
    Ok(())
}
