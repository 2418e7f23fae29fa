//! `cargo xtask cluster`: a real Kubernetes cluster on this machine, for the tests, the demo, and by hand.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result};
use certdrift_cluster::up::{Wish, down, up};
use certdrift_cluster::{Cluster, Kind, Place};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask cluster", about = "A real Kubernetes cluster in namespaces of its own")]
struct Line {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Start a cluster and wait until it is ready
    Up {
        /// Its name
        #[arg(default_value = "hand")]
        name: String,
        /// etcd, API server and controllers only: nothing runs in it
        #[arg(long)]
        api_only: bool,
        /// With cert-manager and the Gateway API's definitions
        #[arg(long, conflicts_with = "api_only")]
        addons: bool,
        /// End when nobody holds this file's lock
        #[arg(long, value_name = "FILE", hide = true)]
        while_locked: Option<PathBuf>,
    },
    /// End a cluster and remove all that is left of it
    Down {
        /// Its name
        #[arg(default_value = "hand")]
        name: String,
        /// All of them
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Say whether this machine can have a cluster, and why not
    Possible,
    /// List the clusters
    List,
    /// Run a command in a cluster's network, with KUBECONFIG set and kubectl on the PATH
    Exec {
        /// Its name
        name: String,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// The first process of a cluster
    #[command(hide = true)]
    Init {
        /// The cluster's folder
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Line::parse().what {
        What::Up { name, api_only, addons, while_locked } => start(&name, api_only, addons, while_locked),
        What::Possible => possible(),
        What::Down { name, all } => end(&name, all),
        What::List => list(),
        What::Exec { name, command } => execute(&name, &command),
        What::Init { folder } => certdrift_cluster::init::run(&folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn possible() -> Result<()> {
    match certdrift_cluster::up::obstacle() {
        Some(obstacle) => anyhow::bail!(obstacle),
        None => Ok(()),
    }
}

fn start(name: &str, api_only: bool, addons: bool, owner: Option<PathBuf>) -> Result<()> {
    let place = Place::new(name)?;
    let kind = if api_only { Kind::ApiOnly } else { Kind::Node };
    let more = if addons { certdrift_cluster::up::ADDONS.as_slice() } else { &[] };
    for tool in certdrift_cluster::up::tools(kind).iter().chain(more) {
        xtask::tools::find(*tool)?;
    }
    let step = xtask::progress::Step::start(format!("starting the cluster {name}"));
    let cluster = up(&place, &Wish { kind, owner })?;
    step.done("ready");
    if addons {
        let step = xtask::progress::Step::start("installing cert-manager and the Gateway API");
        cluster.gateway_api_crds()?;
        cluster.cert_manager()?;
        step.done("ready");
    }
    println!("kubeconfig  {} (reached from inside its network only)", cluster.kubeconfig().display());
    println!("use it      cargo xtask cluster exec {name} -- kubectl get all --all-namespaces");
    println!("end it      cargo xtask cluster down {name}");
    Ok(())
}

fn end(name: &str, all: bool) -> Result<()> {
    let places = if all { Place::all()? } else { vec![Place::new(name)?] };
    for place in places {
        let there = down(&place)?;
        println!("{}: {}", place.name(), if there { "ended, nothing left" } else { "there was none" });
    }
    Ok(())
}

fn list() -> Result<()> {
    for place in Place::all()? {
        let state = match Cluster::open(place.clone()) {
            Ok(cluster) if cluster.kind() == Kind::ApiOnly => "up, API only",
            Ok(_) => "up",
            Err(_) if place.init().is_some() => "not ready",
            Err(_) => "dead; `down` removes what is left",
        };
        println!("{:<20} {state}", place.name());
    }
    Ok(())
}

fn execute(name: &str, command: &[OsString]) -> Result<()> {
    let cluster = Cluster::open(Place::new(name)?)?;
    let (program, arguments) = command.split_first().context("no command")?;
    let kubectl = xtask::tools::find(xtask::tools::Tool::Kubectl)?;
    let mut folders = vec![kubectl.parent().map(PathBuf::from).unwrap_or_default()];
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = cluster.command(program)?;
    command.args(arguments).env("PATH", std::env::join_paths(folders)?);
    Err(command.exec()).context("cannot start nsenter")
}
