//! A real Envoy in a folder of its own: TLS with a filter chain per certificate, listeners by file-based discovery
//! (so that a reload is Envoy's own), and a Wasm filter, the shipped one or another, if wanted.
//!
//! ```no_run
//! # use certdrift_harness::{certs, envoy::{Chain, Envoy}};
//! # let leaf = certs::Ca::new("test")?.issue(&certs::wish(&["shop.example.com"]))?;
//! # let (certificate, key) = leaf.write(std::path::Path::new("/tmp"), "shop")?;
//! let chain = Chain::new(&["shop.example.com"], &certificate, &key).declares(leaf.fingerprint);
//! let envoy = Envoy::plan()
//!     .wasm(&xtask::build::wasm()?, r#"{"ledger": {"poll_interval_seconds": 1, "locations": [{"upstream": "ledger", "path": "/ledger/edge"}]}}"#)
//!     .cluster("ledger", ([127, 0, 0, 1], 9480).into())
//!     .chain(chain)
//!     .start()?;
//! println!("https://{}", envoy.address());
//! # anyhow::Ok(())
//! ```
use crate::nginx::{Answer, request};
use crate::process::{Process, free_port};
use crate::wait;
use anyhow::{Context as _, Result, bail};
use certdrift_contract::Fingerprint;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Envoy starts in a second or two; on a machine that is busy, in many.
const PATIENCE: Duration = Duration::from_secs(60);

/// A filter chain: the hosts it is for, and the certificate it serves them.
#[derive(Clone, Debug)]
pub struct Chain {
    hosts: Vec<String>,
    certificate: PathBuf,
    key: PathBuf,
    declared: Option<String>,
    configuration: Option<String>,
}

impl Chain {
    /// Serves the certificate in these files to clients that ask for one of `hosts`; to all others when there is none.
    #[must_use]
    pub fn new(hosts: &[&str], certificate: &Path, key: &Path) -> Self {
        Self {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            declared: None,
            configuration: None,
        }
    }

    /// Declares the leaf's fingerprint in the chain's metadata, for the filter.
    #[must_use]
    pub fn declares(self, leaf: Fingerprint) -> Self {
        self.declares_text(&leaf.to_string())
    }

    /// Declares any text there: a placeholder that a script fills in, or nonsense.
    #[must_use]
    pub fn declares_text(mut self, text: &str) -> Self {
        self.declared = Some(text.to_owned());
        self
    }

    /// Gives the filter a configuration of its own in this chain, instead of the plan's.
    #[must_use]
    pub fn configured(mut self, configuration: &str) -> Self {
        self.configuration = Some(configuration.to_owned());
        self
    }
}

/// What to run; see [`Envoy::plan`].
#[derive(Debug)]
pub struct Plan {
    workers: usize,
    wasm: Option<(PathBuf, String)>,
    clusters: Vec<(String, SocketAddr)>,
    chains: Vec<Chain>,
    upstream: Option<SocketAddr>,
    plain: bool,
}

/// A running Envoy; ended when dropped, and its folder removed.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    folder: TempDir,
    plan: Plan,
    port: u16,
    admin: u16,
}

impl Plan {
    /// Threads that take connections; one unless said.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Runs this module in every chain, with this configuration.
    #[must_use]
    pub fn wasm(mut self, module: &Path, configuration: &str) -> Self {
        self.wasm = Some((module.to_owned(), configuration.to_owned()));
        self
    }

    /// Names an address, for the filter's calls.
    #[must_use]
    pub fn cluster(mut self, name: &str, address: SocketAddr) -> Self {
        self.clusters.push((name.to_owned(), address));
        self
    }

    /// Adds a filter chain.
    #[must_use]
    pub fn chain(mut self, chain: Chain) -> Self {
        self.chains.push(chain);
        self
    }

    /// Hands requests on to this address. Without it Envoy answers them itself, 200 and `hello`.
    #[must_use]
    pub fn upstream(mut self, address: SocketAddr) -> Self {
        self.upstream = Some(address);
        self
    }

    /// Serves plain HTTP instead: one chain, no TLS.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Starts it and waits until its listener takes connections.
    ///
    /// # Errors
    /// Envoy cannot be had, or refuses the configuration; with its words.
    pub fn start(self) -> Result<Envoy> {
        let program = xtask::tools::find(xtask::tools::Tool::Envoy)?;
        let folder = tempfile::Builder::new().prefix("certdrift-envoy-").tempdir()?;
        let (port, admin) = (free_port(), free_port());
        let listeners = folder.path().join("listeners.json");
        std::fs::write(&listeners, self.listeners(port, &self.chains)?)?;
        let bootstrap = folder.path().join("bootstrap.json");
        std::fs::write(&bootstrap, serde_json::to_vec_pretty(&self.bootstrap(admin, &listeners))?)?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&bootstrap).args(["--concurrency", &self.workers.to_string()]);
        command.args([
            "--disable-hot-restart",
            "--log-level",
            "warning",
            "--component-log-level",
            "wasm:info",
        ]);
        let process = Process::start("envoy", &mut command, folder.path())?;
        let mut envoy = Envoy { process, folder, plan: self, port, admin };
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = envoy.process.ended() {
                bail!("envoy ended ({status}): {}", envoy.log());
            }
            if envoy.counter("listener_manager.lds.update_rejected").is_ok_and(|count| count > 0) {
                bail!("envoy refuses the listener: {}", envoy.log());
            }
            if std::net::TcpStream::connect(envoy.address()).is_ok() {
                return Ok(envoy);
            }
            if std::time::Instant::now() > deadline {
                bail!("envoy does not listen after {PATIENCE:?}: {}", envoy.log());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn bootstrap(&self, admin: u16, listeners: &Path) -> Value {
        let mut clusters: Vec<Value> =
            self.clusters.iter().map(|(name, address)| cluster(name, *address)).collect();
        clusters.extend(self.upstream.map(|address| cluster("upstream", address)));
        json!({
            "node": {"id": "certdrift", "cluster": "certdrift"},
            "admin": {"address": address([127, 0, 0, 1].into(), admin)},
            "dynamic_resources": {"lds_config": {
                "resource_api_version": "V3",
                "path_config_source": {"path": listeners},
            }},
            "static_resources": {"clusters": clusters},
        })
    }

    fn listeners(&self, port: u16, chains: &[Chain]) -> Result<Vec<u8>> {
        let chains: Vec<Value> = if self.plain {
            vec![json!({"filters": [self.connection_manager(None, None)]})]
        } else {
            chains.iter().map(|chain| self.filter_chain(chain)).collect()
        };
        let inspector = json!({
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
        });
        let listener = json!({
            "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": "https",
            "address": address([127, 0, 0, 1].into(), port),
            "listener_filters": if self.plain { vec![] } else { vec![inspector] },
            "filter_chains": chains,
        });
        Ok(serde_json::to_vec_pretty(&json!({"resources": [listener]}))?)
    }

    fn filter_chain(&self, chain: &Chain) -> Value {
        json!({
            "filter_chain_match": {"server_names": chain.hosts},
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {
                    "alpn_protocols": ["h2", "http/1.1"],
                    "tls_certificates": [{
                        "certificate_chain": {"filename": chain.certificate},
                        "private_key": {"filename": chain.key},
                    }],
                },
            }},
            "filters": [self.connection_manager(chain.declared.as_deref(), chain.configuration.as_deref())],
        })
    }

    fn connection_manager(&self, declared: Option<&str>, own: Option<&str>) -> Value {
        let mut filters = Vec::new();
        if let Some(sha256) = declared {
            filters.push(json!({"name": "envoy.filters.http.set_metadata", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
                "metadata": [{"metadata_namespace": "certdrift", "value": {"sha256": sha256}}],
            }}));
        }
        if let Some((module, configuration)) = &self.wasm {
            filters.push(json!({"name": "envoy.filters.http.wasm", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": "certdrift",
                    "root_id": "certdrift",
                    "vm_config": {
                        "vm_id": "certdrift",
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": {"local": {"filename": module}},
                    },
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": own.unwrap_or(configuration),
                    },
                },
            }}));
        }
        filters.push(json!({"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        }}));
        let route = match self.upstream {
            Some(_) => json!({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}),
            None => json!({"match": {"prefix": "/"}, "direct_response": {
                "status": 200, "body": {"inline_string": "hello\n"},
            }}),
        };
        json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "https",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": filters,
        }})
    }
}

fn address(ip: std::net::IpAddr, port: u16) -> Value {
    json!({"socket_address": {"address": ip.to_string(), "port_value": port}})
}

fn cluster(name: &str, to: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{
            "endpoint": {"address": address(to.ip(), to.port())},
        }]}]},
    })
}

impl Envoy {
    /// Begins a plan.
    #[must_use]
    pub fn plan() -> Plan {
        Plan {
            workers: 1,
            wasm: None,
            clusters: Vec::new(),
            chains: Vec::new(),
            upstream: None,
            plain: false,
        }
    }

    /// Where it takes connections.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file its listeners are discovered from; it is read again when another is renamed over it.
    #[must_use]
    pub fn listeners_file(&self) -> PathBuf {
        self.folder.path().join("listeners.json")
    }

    /// What the file would say with these chains.
    ///
    /// # Errors
    /// Never in practice: the text is JSON of strings.
    pub fn listeners_with(&self, chains: &[Chain]) -> Result<Vec<u8>> {
        self.plan.listeners(self.port, chains)
    }

    /// Serves these chains from now on: the file is replaced by rename, and Envoy's own word is waited for.
    ///
    /// # Errors
    /// Envoy refuses them; the old ones go on.
    pub fn serve(&self, chains: &[Chain]) -> Result<()> {
        let taken = self.counter("listener_manager.lds.update_success")?;
        let refused = self.counter("listener_manager.lds.update_rejected")?;
        let new = self.folder.path().join("listeners.new");
        std::fs::write(&new, self.listeners_with(chains)?)?;
        std::fs::rename(new, self.listeners_file())?;
        wait::until("envoy to take its listeners", PATIENCE, || {
            if self.counter("listener_manager.lds.update_rejected").is_ok_and(|now| now > refused) {
                return Ok(Err(anyhow::anyhow!("envoy refuses the listener: {}", self.log())));
            }
            match self.counter("listener_manager.lds.update_success") {
                Ok(now) if now > taken => Ok(Ok(())),
                other => Err(format!("{other:?}")),
            }
        })
    }

    /// One of its counters or gauges, by its full name; 0 when there is none of that name.
    ///
    /// # Errors
    /// Its admin port does not answer.
    pub fn counter(&self, name: &str) -> Result<u64> {
        let answer = self.admin(&format!("/stats?usedonly&filter=^{name}$"))?;
        let line = answer.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map_or(Ok(0), |number| number.trim().parse().context("a counter's number"))
    }

    /// A request to its admin port.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn admin(&self, path: &str) -> Result<Answer> {
        request(SocketAddr::from(([127, 0, 0, 1], self.admin)), "GET", path, &[])
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
