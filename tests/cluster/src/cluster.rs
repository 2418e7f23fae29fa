//! A running cluster, in the hands of a test: commands in its network, objects, daemons that are held back.
use crate::image::Picture;
use crate::network::{API_PORT, NODE};
use crate::place::{Place, innermost_pid};
use crate::plan::{Kind, Plan};
use crate::up::{Wish, down, up};
use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xtask::tools::{self, Tool};

/// Names the running cluster that tests share; `cargo xtask test` sets it.
pub const SHARED: &str = "CERTDRIFT_CLUSTER";

/// A cluster that runs.
#[derive(Clone, Debug)]
pub struct Cluster {
    place: Place,
    kind: Kind,
    init: u32,
}

impl Cluster {
    /// The cluster that the tests of a run share, with a node. By hand, without `cargo xtask test`, the first test starts
    /// one named `hand`, which stays until `cargo xtask cluster down hand`.
    ///
    /// # Errors
    /// The machine cannot have one, or it does not come up.
    pub fn shared() -> Result<Self> {
        Self::named_or_started("hand", Kind::Node)
    }

    /// As [`Cluster::shared`], for tests that need only the API: nothing need run in it. By hand it is one named
    /// `hand-api`, unless `hand` runs already.
    ///
    /// # Errors
    /// As [`Cluster::shared`].
    pub fn api_only() -> Result<Self> {
        if std::env::var_os(SHARED).is_none()
            && let Ok(running) = Self::open(Place::new("hand")?)
        {
            return Ok(running);
        }
        Self::named_or_started("hand-api", Kind::ApiOnly)
    }

    fn named_or_started(name: &str, kind: Kind) -> Result<Self> {
        if let Ok(name) = std::env::var(SHARED) {
            return Self::open(Place::new(&name)?);
        }
        let place = Place::new(name)?;
        if let Some(obstacle) = crate::up::obstacle() {
            bail!(obstacle);
        }
        // Tests run as processes of their own: the first starts it, the others wait here.
        let _held = xtask::cache::lock(&format!("cluster-{name}"))?;
        if let Ok(running) = Self::open(place.clone()) {
            return Ok(running);
        }
        eprintln!("starting the cluster {name:?}; it stays until: cargo xtask cluster down {name}");
        up(&place, &Wish { kind, owner: None })
    }

    /// The cluster at `place`, which has come up.
    ///
    /// # Errors
    /// It does not run, or is not up yet.
    pub fn open(place: Place) -> Result<Self> {
        if !place.at("up").exists() {
            bail!("no cluster {0:?}; start it with: cargo xtask cluster up {0}", place.name());
        }
        let kind = Plan::read(place.folder())?.kind;
        Self::of_running(place, kind)
    }

    /// Also one that is not up yet.
    pub(crate) fn of_running(place: Place, kind: Kind) -> Result<Self> {
        let init = place.init().with_context(|| format!("the cluster {:?} does not run", place.name()))?;
        Ok(Self { place, kind, init })
    }

    /// Its name and folder.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// How much of a cluster it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The administrator's kubeconfig. Its server is reached from the cluster's network only: see [`Cluster::command`].
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.place.at("kubeconfig")
    }

    /// The API server's address in the cluster's network.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        SocketAddr::new(NODE.parse().unwrap_or([198, 18, 0, 1].into()), API_PORT)
    }

    /// A command that runs in the cluster's network, with this machine's files and `KUBECONFIG` set.
    ///
    /// # Errors
    /// `nsenter` cannot be had.
    pub fn command(&self, program: impl AsRef<Path>) -> Result<Command> {
        let mut command = Command::new(tools::find(Tool::Nsenter)?);
        command.arg(format!("--net=/proc/{}/ns/net", self.init)).arg("--").arg(program.as_ref());
        command.env("KUBECONFIG", self.kubeconfig());
        // A proxy is outside.
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name).env_remove(name.to_ascii_uppercase());
        }
        Ok(command)
    }

    /// Moves this thread, and threads that it starts from now on, into the cluster's network: clients and servers that a
    /// test makes then are inside. Call it before an async runtime is made.
    ///
    /// # Errors
    /// Not root, or the cluster has ended.
    pub fn enter(&self) -> Result<()> {
        let namespace = File::open(format!("/proc/{}/ns/net", self.init))?;
        rustix::thread::move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&namespace),
            Some(rustix::thread::LinkNameSpaceType::Network),
        )?;
        Ok(())
    }

    /// A command in all namespaces of the cluster, where its mounts and processes are seen.
    pub(crate) fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init));
        command.args(["--mount", "--net", "--pid", "--uts", "--ipc", "--"]).arg(program);
        command
    }

    /// What `kubectl` prints, without the last line break.
    ///
    /// # Errors
    /// It fails; with its words.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        xtask::workspace::output(self.command(tools::find(Tool::Kubectl)?)?.args(arguments))
    }

    /// As [`Cluster::kubectl`], with `input` to read.
    ///
    /// # Errors
    /// It fails; with its words.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = self.command(tools::find(Tool::Kubectl)?)?;
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("kubectl's input")?;
        let text = input.to_owned();
        // It may print before it has read all.
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        let said = child.wait_with_output()?;
        let _ = writer.join();
        if !said.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&said.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&said.stdout).trim_end().to_owned())
    }

    /// Applies objects (YAML or JSON), server-side, with the field manager `test`.
    ///
    /// # Errors
    /// The API server refuses; with its words.
    pub fn apply(&self, objects: &str) -> Result<()> {
        let arguments =
            ["apply", "--server-side", "--force-conflicts", "--field-manager=test", "--filename=-"];
        self.kubectl_with(&arguments, objects).map(drop)
    }

    /// An object as JSON.
    ///
    /// # Errors
    /// There is none, or its JSON cannot be read.
    pub fn get(&self, namespace: &str, object: &str) -> Result<serde_json::Value> {
        let said = self.kubectl(&["get", object, "--namespace", namespace, "--output=json"])?;
        serde_json::from_str(&said).context("kubectl's JSON")
    }

    /// Waits as `kubectl wait` does: `what` is `condition=Ready`, `delete`, `jsonpath={.status.phase}=Running` …
    ///
    /// # Errors
    /// It does not happen in `patience`.
    pub fn wait(&self, namespace: &str, object: &str, what: &str, patience: Duration) -> Result<()> {
        let timeout = format!("--timeout={}s", patience.as_secs().max(1));
        let what = format!("--for={what}");
        self.kubectl(&["wait", object, "--namespace", namespace, &what, &timeout]).map(drop)
    }

    /// A new namespace of a name that begins with `prefix`; deleted when dropped, without waiting for that.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn namespace(&self, prefix: &str) -> Result<Namespace> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{prefix}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        self.kubectl(&["create", "namespace", &name])?;
        Ok(Namespace { cluster: self.clone(), name })
    }

    /// Makes an image if this cluster has none of it yet, and gives its name, for pods that say `imagePullPolicy: Never`.
    ///
    /// # Errors
    /// The cluster has no node, or something the image is made of cannot be had.
    pub fn image(&self, picture: Picture) -> Result<&'static str> {
        let folder = self.place.at("images");
        let name = picture.name();
        let file = |end: &str| folder.join(format!("{}{end}", name.replace(['/', ':'], "-")));
        let _held = xtask::cache::lock_file(&file(".lock"))?;
        if !file(".imported").exists() {
            let archive = picture.paint(&folder)?;
            self.import(&archive)?;
            fs::remove_file(archive)?;
            fs::write(file(".imported"), "")?;
        }
        Ok(name)
    }

    /// Imports an image's archive, for pods that say `imagePullPolicy: Never`.
    ///
    /// # Errors
    /// The cluster has no node, or containerd refuses.
    pub fn import(&self, archive: &Path) -> Result<()> {
        if self.kind != Kind::Node {
            bail!("the cluster {:?} has no node", self.place.name());
        }
        let ctr = tools::find(Tool::Ctr)?;
        xtask::workspace::output(
            self.inside(&ctr).args(["--namespace=k8s.io", "images", "import"]).arg(archive),
        )?;
        Ok(())
    }

    /// The process id, as this machine sees it, of a daemon (`kube-apiserver`, `etcd`, `kubelet` …), if it runs.
    #[must_use]
    pub fn daemon(&self, name: &str) -> Option<u32> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.init)).ok()?;
        children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            Path::new(String::from_utf8_lossy(program).as_ref()).file_name().is_some_and(|file| file == name)
                && innermost_pid(*pid).is_some()
        })
    }

    /// Kills a daemon and keeps it from being started again until [`Cluster::release`].
    ///
    /// # Errors
    /// It does not end.
    pub fn hold(&self, daemon: &str) -> Result<()> {
        fs::write(self.place.at("held").join(daemon), "")?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Some(pid) = self.daemon(daemon) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            if Instant::now() > deadline {
                bail!("{daemon} does not end");
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Lets a held daemon be started again; that takes about a second.
    ///
    /// # Errors
    /// It was not held.
    pub fn release(&self, daemon: &str) -> Result<()> {
        fs::remove_file(self.place.at("held").join(daemon)).with_context(|| format!("{daemon} is not held"))
    }

    /// What a daemon has logged.
    #[must_use]
    pub fn log(&self, daemon: &str) -> String {
        let log = fs::read(self.place.at(&format!("log/{daemon}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }
}

/// A cluster of a test's own; ended when dropped, and when its process dies.
#[derive(Debug)]
pub struct Own {
    cluster: Cluster,
    /// Held as long as the cluster is wanted.
    _owner: File,
    owner_file: PathBuf,
}

impl Own {
    /// Starts one. Its name is `prefix` and this process's id.
    ///
    /// # Errors
    /// As [`up`].
    pub fn start(prefix: &str, kind: Kind) -> Result<Self> {
        let place = Place::new(&format!("{prefix}-{}", std::process::id()))?;
        let owner_file = std::env::temp_dir().join(format!("certdrift-{}.owner", place.name()));
        let owner = xtask::cache::lock_file(&owner_file)?;
        let cluster = up(&place, &Wish { kind, owner: Some(owner_file.clone()) })?;
        Ok(Self { cluster, _owner: owner, owner_file })
    }
}

impl std::ops::Deref for Own {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Err(error) = down(&self.cluster.place) {
            eprintln!("the cluster {:?} is not put away: {error:#}", self.cluster.place.name());
        }
        let _ = fs::remove_file(&self.owner_file);
    }
}

/// A namespace of a test's own; see [`Cluster::namespace`].
#[derive(Debug)]
pub struct Namespace {
    cluster: Cluster,
    name: String,
}

impl Namespace {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.cluster.kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}
