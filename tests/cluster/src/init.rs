//! The first process of a cluster's namespaces: sets them up, starts the daemons, and keeps them running.
//!
//! It is process 1 of its own process namespace, started by `unshare`: when it is killed, the kernel ends every process
//! in there, and with the last of them go the mounts and the network. So there is nothing to put away but cgroups and
//! the folder.
use crate::network::NODE;
use crate::plan::{Daemon, Kind, Plan};
use anyhow::{Context as _, Result, bail};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::WaitOptions;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often it looks after its children.
const TICK: Duration = Duration::from_millis(100);
/// A daemon that has ended is started again this much after its start, at the earliest.
const PAUSE: Duration = Duration::from_secs(1);

/// Never returns but for an error, or when the cluster's owner has ended.
///
/// # Errors
/// The namespaces cannot be set up.
pub fn run(folder: &Path) -> Result<()> {
    if std::process::id() != 1 {
        bail!("this is started by `cluster up`, as the first process of a process namespace");
    }
    let plan = Plan::read(folder)?;
    // Opened before the mounts hide it.
    let owner = plan.owner.as_deref().map(fs::File::open).transpose().context("the owner's file")?;
    mounts(folder, plan.kind)?;
    network()?;
    if plan.kind == Kind::Node {
        cgroups(&plan.cgroup)?;
    }
    let mut children = Children { folder, started: BTreeMap::new() };
    let mut ticks = 0_u32;
    loop {
        for daemon in &plan.daemons {
            children.keep_running(daemon)?;
        }
        // An owner that has died has let go of its lock.
        ticks += 1;
        if ticks.is_multiple_of(10) && owner.as_ref().is_some_and(|file| file.try_lock_shared().is_ok()) {
            println!("the owner is gone: ending");
            return Ok(());
        }
        std::thread::park_timeout(TICK);
        children.reap();
    }
}

/// The daemons' processes, by name, and when each was started.
struct Children<'folder> {
    folder: &'folder Path,
    started: BTreeMap<String, (Option<i32>, Instant)>,
}

impl Children<'_> {
    fn keep_running(&mut self, daemon: &Daemon) -> Result<()> {
        let due = match self.started.get(&daemon.name) {
            None => true,
            Some((Some(_), _)) => false,
            Some((None, at)) => at.elapsed() > PAUSE,
        };
        if !due || self.folder.join("held").join(&daemon.name).exists() {
            return Ok(());
        }
        let Some((program, arguments)) = daemon.argv.split_first() else { return Ok(()) };
        let log = self.folder.join("log").join(format!("{}.log", daemon.name));
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let started = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let pid = i32::try_from(started.id())?;
        println!("{} is process {pid}", daemon.name);
        self.started.insert(daemon.name.clone(), (Some(pid), Instant::now()));
        Ok(())
    }

    /// Takes leave of every process that has ended, also of those that lost their parents.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            for (name, (running, _)) in &mut self.started {
                if *running == Some(pid.as_raw_nonzero().get()) {
                    println!("{name} has ended: {status:?}");
                    *running = None;
                }
            }
        }
    }
}

fn mounts(folder: &Path, kind: Kind) -> Result<()> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // What programs keep in fixed places ends with the cluster, and the machine's own is not seen. The cluster's folder
    // may be below one of them: it is brought back.
    let opened = fs::File::open(folder)?;
    for path in ["/run", "/var"] {
        tmpfs(Path::new(path), "mode=755")?;
    }
    fs::create_dir_all(folder)?;
    let source = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    rustix::mount::mount_bind(&source, folder).context("the cluster's folder")?;
    for path in ["/run/netns", "/run/lock", "/var/lib", "/var/log/pods", "/var/log/containers", "/var/tmp"] {
        fs::create_dir_all(path)?;
    }
    std::os::unix::fs::symlink("/run", "/var/run")?;
    let etcd = folder.join("etcd");
    fs::create_dir_all(&etcd)?;
    tmpfs(&etcd, "mode=700")?;
    if kind == Kind::Node {
        sysfs(folder)?;
        sysctls()?;
        // The kubelet and containerd hand mounts on to containers.
        rustix::mount::mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)?;
    }
    Ok(())
}

fn tmpfs(path: &Path, options: &str) -> Result<()> {
    let options = std::ffi::CString::new(options)?;
    rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::empty(), options.as_c_str())
        .with_context(|| format!("a tmpfs at {}", path.display()))
}

/// A sysfs of the new network namespace, with the machine's cgroups where they were.
fn sysfs(folder: &Path) -> Result<()> {
    let aside = folder.join("cgroup");
    fs::create_dir_all(&aside)?;
    rustix::mount::mount_bind_recursive("/sys/fs/cgroup", &aside)?;
    rustix::mount::mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).context("sysfs")?;
    rustix::mount::mount_bind_recursive(&aside, "/sys/fs/cgroup")?;
    rustix::mount::unmount(&aside, UnmountFlags::DETACH)?;
    Ok(())
}

/// The kubelet insists on three settings that belong to the whole machine. It is shown files that have the values it
/// wants, so that it changes nothing.
fn sysctls() -> Result<()> {
    let shown = Path::new("/run/certdrift-sysctl");
    fs::create_dir_all(shown)?;
    for (name, value) in
        [("vm/overcommit_memory", "1"), ("kernel/panic", "10"), ("kernel/panic_on_oops", "1")]
    {
        let file = shown.join(name.replace('/', "-"));
        fs::write(&file, format!("{value}\n"))?;
        rustix::mount::mount_bind(&file, Path::new("/proc/sys").join(name)).context(name)?;
    }
    Ok(())
}

fn network() -> Result<()> {
    fs::write("/proc/sys/kernel/hostname", crate::network::NODE_NAME)?;
    let address = format!("{NODE}/24");
    for arguments in [
        "link set lo up",
        "link add node0 type veth peer name node0p",
        "link set node0p up",
        &format!("address add {address} dev node0"),
        "link set node0 up",
        // Nothing is behind it; the API server wants a default route to tell its address from.
        "route add default dev node0",
    ] {
        let said = Command::new("ip").args(arguments.split(' ')).output().context("cannot start ip")?;
        if !said.status.success() {
            bail!("ip {arguments}: {}", String::from_utf8_lossy(&said.stderr).trim());
        }
    }
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    Ok(())
}

/// A cgroup of the cluster's own in every hierarchy: of version 1 one each, of version 2 the only one.
fn cgroups(name: &str) -> Result<()> {
    for root in hierarchies()? {
        let own = root.join(name);
        fs::create_dir_all(&own).with_context(|| own.display().to_string())?;
        // In version 1 a new cpuset is empty, and nothing can be put into it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let (from, to) = (root.join(file), own.join(file));
            if let (Ok(all), Ok(own)) = (fs::read_to_string(&from), fs::read_to_string(&to))
                && own.trim().is_empty()
            {
                fs::write(&to, all)?;
            }
        }
    }
    Ok(())
}

/// The roots of this machine's cgroup hierarchies.
pub(crate) fn hierarchies() -> Result<Vec<PathBuf>> {
    let top = PathBuf::from("/sys/fs/cgroup");
    if top.join("cgroup.procs").exists() {
        return Ok(vec![top]);
    }
    let mut roots = Vec::new();
    for entry in fs::read_dir(&top)? {
        let path = entry?.path();
        // `cpu` is often a link to `cpu,cpuacct`.
        if path.join("cgroup.procs").exists() && !path.is_symlink() {
            roots.push(path);
        }
    }
    Ok(roots)
}
