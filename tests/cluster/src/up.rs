//! Bringing a cluster up and down.
use crate::cluster::Cluster;
use crate::image::Picture;
use crate::place::{INIT, Place};
use crate::plan::{Kind, Plan};
use crate::{control_plane, init, node, pki};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xtask::tools::{self, Tool};

/// Control plane and node together start in 12 seconds on two cores; on a machine that is busy, in many more.
const PATIENCE: Duration = Duration::from_secs(180);

/// What [`up`] is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// How much of a cluster.
    pub kind: Kind,
    /// The cluster ends by itself when nobody holds this file's lock.
    pub owner: Option<PathBuf>,
}

/// What a cluster needs that is not ours, in the order in which it is worth having.
#[must_use]
pub fn tools(kind: Kind) -> Vec<Tool> {
    let mut needed = vec![
        Tool::Ip,
        Tool::Unshare,
        Tool::Nsenter,
        Tool::Kubectl,
        Tool::Etcd,
        Tool::KubeApiserver,
        Tool::KubeControllerManager,
    ];
    if kind == Kind::Node {
        needed.extend([
            Tool::Cc,
            Tool::Busybox,
            Tool::Containerd,
            Tool::Runc,
            Tool::Nft,
            Tool::KubeScheduler,
            Tool::Kubelet,
            Tool::KubeProxy,
            Tool::CoreDns,
        ]);
    }
    needed
}

/// What the add-ons need besides.
pub const ADDONS: [Tool; 2] = [Tool::CertManager, Tool::Helm];

/// Why this machine cannot have a cluster, if it cannot.
#[must_use]
pub fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("a cluster needs root: namespaces, mounts and cgroups of its own (try: sudo -E)".into());
    }
    let tried = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "true"])
        .output();
    match tried {
        Ok(said) if said.status.success() => tools::go_obstacle(),
        Ok(said) => Some(format!(
            "a cluster needs namespaces, which this machine refuses: {}",
            String::from_utf8_lossy(&said.stderr).trim()
        )),
        Err(error) => Some(format!("a cluster needs util-linux's unshare: {error}")),
    }
}

/// Starts a cluster and waits until it answers; with a node, until the node is ready. What an earlier one of this name has
/// left is put away first.
///
/// # Errors
/// It runs already, the machine cannot have one, something cannot be had, or it does not come up in time.
pub fn up(place: &Place, wish: &Wish) -> Result<Cluster> {
    if let Some(obstacle) = obstacle() {
        bail!(obstacle);
    }
    tools(wish.kind).into_iter().try_for_each(|tool| tools::find(tool).map(drop))?;
    sweep()?;
    let _held = place.lock()?;
    if place.init().is_some() && Cluster::open(place.clone()).is_ok() {
        bail!("the cluster {0:?} runs already; end it with: cargo xtask cluster down {0}", place.name());
    }
    put_away(place)?;
    let made = start(place, wish);
    if made.is_err() && std::env::var_os("CERTDRIFT_CLUSTER_KEEP").is_none() {
        let _ = put_away(place);
    }
    made
}

fn start(place: &Place, wish: &Wish) -> Result<Cluster> {
    for folder in ["conf", "log", "held", "images"] {
        fs::create_dir_all(place.at(folder))?;
    }
    fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o700))?;
    pki::make(place)?;
    let mut daemons = control_plane::daemons(place, wish.kind)?;
    if wish.kind == Kind::Node {
        daemons.extend(node::daemons(place)?);
    }
    let plan = Plan { kind: wish.kind, cgroup: place.cgroup(), owner: wish.owner.clone(), daemons };
    plan.write(place.folder())?;

    let log = fs::File::create(place.at("log/init.log"))?;
    let mut started = Command::new("setsid")
        .arg(tools::find(Tool::Unshare)?)
        .args(["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--mount-proc"])
        .arg(xtask::build::cluster()?)
        .arg(INIT)
        .arg(place.folder())
        .current_dir("/")
        // Nothing of this machine's settings (proxies, Go's and Kubernetes' own) reaches the daemons.
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start setsid (Debian: util-linux)")?;
    let deadline = Instant::now() + PATIENCE;
    let mut until = |what: &str, ready: &dyn Fn() -> Result<bool>| -> Result<()> {
        loop {
            let last = match ready() {
                Ok(true) => return Ok(()),
                Ok(false) => "not yet".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if let Some(status) = started.try_wait()? {
                bail!("the cluster ended while it was waited for {what} ({status}): {}", tail(place, "init"));
            }
            if Instant::now() > deadline {
                bail!("waited {PATIENCE:?} for {what}: {last}\n{}", tail(place, "kube-apiserver"));
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    };
    until("its first process", &|| Ok(place.init().is_some()))?;
    let cluster = Cluster::of_running(place.clone(), wish.kind)?;
    if wish.kind == Kind::Node {
        until("containerd", &|| {
            Ok(cluster.inside(&tools::find(Tool::Ctr)?).arg("version").output()?.status.success())
        })?;
        cluster.image(Picture::Pause)?;
        cluster.image(Picture::Busybox)?;
    }
    until("the API server", &|| cluster.kubectl(&["get", "--raw", "/readyz"]).map(|said| said == "ok"))?;
    if wish.kind == Kind::Node {
        cluster.apply(&node::objects())?;
        let ready = r#"jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}"#;
        until("the node", &|| Ok(cluster.kubectl(&["get", "nodes", "--output", ready])? == "True"))?;
        until("the default account", &|| {
            Ok(cluster.kubectl(&["get", "serviceaccount", "default", "--namespace=default"]).is_ok())
        })?;
    }
    fs::write(place.at("up"), "")?;
    Ok(cluster)
}

/// Ends a cluster and removes all it has left: processes, mounts and network with its first process, cgroups, folder.
/// `false` when there was nothing.
///
/// # Errors
/// Something stays, and says why.
pub fn down(place: &Place) -> Result<bool> {
    let _held = place.lock()?;
    let there = place.init().is_some() || place.folder().exists();
    put_away(place)?;
    Ok(there)
}

/// Puts away what clusters have left whose owners have died.
fn sweep() -> Result<()> {
    for place in Place::all()? {
        let dead =
            || place.init().is_none() && Plan::read(place.folder()).is_ok_and(|plan| plan.owner.is_some());
        if dead() {
            let _held = place.lock()?;
            if dead() {
                put_away(&place)?;
            }
        }
    }
    Ok(())
}

fn put_away(place: &Place) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Some(pid) = place.init() {
        if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        // It loses its command line first, then ends all others, and only then has ended itself.
        while !has_ended(pid) {
            if Instant::now() > deadline {
                bail!("process {pid} of the cluster {:?} does not end", place.name());
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
    // A cgroup can be removed once its last process is gone, which a killed one takes a moment for.
    loop {
        let left = remove_cgroups(&place.cgroup())?;
        let Some(cgroup) = left.first() else { break };
        if Instant::now() > deadline {
            bail!("the cgroup {} is still in use", cgroup.display());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    if place.folder().exists() {
        fs::remove_dir_all(place.folder())
            .with_context(|| format!("cannot remove {}", place.folder().display()))?;
    }
    Ok(())
}

/// Whether a process is no more, or only its parent has not taken notice.
fn has_ended(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .map_or(true, |status| status.lines().any(|line| line.starts_with("State:\tZ")))
}

/// Removes the cgroups `name` with all below them; those that are still in use are returned.
fn remove_cgroups(name: &str) -> Result<Vec<PathBuf>> {
    fn remove(folder: &std::path::Path) -> bool {
        let Ok(entries) = fs::read_dir(folder) else { return true };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
        fs::remove_dir(folder).is_ok()
    }
    let own = init::hierarchies()?.into_iter().map(|root| root.join(name));
    Ok(own.filter(|folder| folder.exists() && !remove(folder)).collect())
}

/// The end of a log.
fn tail(place: &Place, name: &str) -> String {
    let log = fs::read(place.at(&format!("log/{name}.log"))).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}
