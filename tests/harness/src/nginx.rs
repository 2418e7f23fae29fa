//! A real nginx (Debian's, with its Lua module) in a folder of its own, with or without the tap.
//!
//! ```no_run
//! # use certdrift_harness::{nginx::Nginx, process::free_port};
//! let port = free_port();
//! let nginx = Nginx::with_workers(2)
//!     .tap()
//!     .server(&format!("listen 127.0.0.1:{port}; location / {{ return 200 \"$certdrift\"; }}"))
//!     .start()?;
//! println!("{}", nginx.tap_url());
//! nginx.reload()?;
//! # anyhow::Ok(())
//! ```
use crate::process::{Process, free_port};
use crate::wait;
use anyhow::{Context as _, bail};
use certdrift_contract::tap::TapReport;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const MODULES: &str = "/usr/lib/nginx/modules";
/// Starting and reloading take milliseconds; on a machine that is busy, seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to run; see [`Nginx::with_workers`].
#[derive(Debug)]
pub struct Plan {
    workers: usize,
    tap: bool,
    edits: Vec<(String, String)>,
    http: String,
    servers: Vec<String>,
}

/// A running nginx; ended when dropped, and its folder removed.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    folder: TempDir,
    workers: usize,
    tap_port: u16,
}

impl Plan {
    /// Includes `deploy/kong/` as it ships, but for its paths and its port, on a free port of loopback; its variable
    /// is set in every server.
    #[must_use]
    pub fn tap(mut self) -> Self {
        self.tap = true;
        self
    }

    /// Changes the shipped include files as a user would edit them; each text must occur in one of them.
    #[must_use]
    pub fn edit(mut self, from: &str, to: &str) -> Self {
        self.edits.push((from.to_owned(), to.to_owned()));
        self
    }

    /// Adds to the http block.
    #[must_use]
    pub fn http(mut self, text: &str) -> Self {
        self.http.push_str(text);
        self.http.push('\n');
        self
    }

    /// Adds a server block; `text` is what stands between its braces.
    #[must_use]
    pub fn server(mut self, text: &str) -> Self {
        self.servers.push(text.to_owned());
        self
    }

    /// Starts it and waits until its workers run.
    ///
    /// # Errors
    /// nginx or its Lua module is not installed, or it refuses the configuration; with its words.
    pub fn start(self) -> anyhow::Result<Nginx> {
        let folder = tempfile::Builder::new().prefix("certdrift-nginx-").tempdir()?;
        let tap_port = free_port();
        let configuration = self.write(folder.path(), tap_port)?;
        let mut command = Command::new("nginx");
        command.arg("-e").arg(folder.path().join("error.log"));
        command.arg("-p").arg(folder.path()).arg("-c").arg(&configuration);
        let test = Command::new("nginx")
            .args(command.get_args())
            .arg("-t")
            .output()
            .context("nginx: install Debian's packages nginx and libnginx-mod-http-lua")?;
        if !test.status.success() {
            bail!("nginx refuses its configuration: {}", String::from_utf8_lossy(&test.stderr));
        }
        let process = Process::start("nginx", &mut command, folder.path())?;
        let nginx = Nginx { process, folder, workers: self.workers, tap_port };
        wait::until("nginx's workers", PATIENCE, || match nginx.worker_pids() {
            pids if pids.len() == nginx.workers => Ok(()),
            pids => Err(format!("{pids:?}: {}", nginx.error_log())),
        });
        Ok(nginx)
    }

    fn write(&self, folder: &Path, tap_port: u16) -> anyhow::Result<PathBuf> {
        for name in ["ledger", "token"] {
            std::fs::create_dir(folder.join(name))?;
        }
        let mut tap = String::new();
        if self.tap {
            self.write_includes(folder, tap_port)?;
            writeln!(tap, "include {}/certdrift-http.conf;", folder.display())?;
        }
        let mut text = String::new();
        for module in ["ndk_http_module", "ngx_http_lua_module"] {
            writeln!(text, "load_module {MODULES}/{module}.so;")?;
        }
        if rustix::process::geteuid().is_root() {
            text.push_str("user root;\n");
        }
        writeln!(text, "worker_processes {};\ndaemon off;\npid {}/pid;", self.workers, folder.display())?;
        writeln!(text, "error_log {}/error.log info;", folder.display())?;
        writeln!(text, "events {{ worker_connections 4096; }}\nhttp {{\naccess_log off;")?;
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(text, "{kind}_temp_path {}/temp-{kind};", folder.display())?;
        }
        // Its default has TLS 1.3 since 1.23.4 only; Kong sets this.
        writeln!(text, "ssl_protocols TLSv1.2 TLSv1.3;\n{tap}{}", self.http)?;
        for server in &self.servers {
            let include = if self.tap {
                format!("include {}/certdrift-proxy.conf;", folder.display())
            } else {
                String::new()
            };
            writeln!(text, "server {{\n{include}\n{server}\n}}")?;
        }
        text.push_str("}\n");
        let path = folder.join("nginx.conf");
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn write_includes(&self, folder: &Path, tap_port: u16) -> anyhow::Result<()> {
        let shipped = shipped();
        let mut unused: BTreeSet<usize> = (0..self.edits.len()).collect();
        for name in ["certdrift-http.conf", "certdrift-proxy.conf", "certdrift.lua"] {
            let mut text = std::fs::read_to_string(shipped.join(name)).with_context(|| name.to_owned())?;
            for (i, (from, to)) in self.edits.iter().enumerate() {
                if text.contains(from.as_str()) {
                    text = text.replace(from.as_str(), to);
                    unused.remove(&i);
                }
            }
            let text = text
                .replace("/etc/certdrift/", &format!("{}/", folder.display()))
                .replace("/etc/certdrift-ledger", &format!("{}/ledger", folder.display()))
                .replace("/etc/certdrift-token", &format!("{}/token", folder.display()))
                .replace("127.0.0.1:8787", &format!("127.0.0.1:{tap_port}"));
            std::fs::write(folder.join(name), text)?;
        }
        match unused.first() {
            Some(i) => bail!("no include file has the text {:?} to edit", self.edits[*i].0),
            None => Ok(()),
        }
    }
}

/// The folder of the include files as they ship.
#[must_use]
pub fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/kong")
}

impl Nginx {
    /// Begins a plan.
    #[must_use]
    pub fn with_workers(workers: usize) -> Plan {
        Plan { workers, tap: false, edits: Vec::new(), http: String::new(), servers: Vec::new() }
    }

    /// Process id of the master: HUP reloads it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its folder: certificates may be written here. `ledger/` and `token/` in it stand for the mounts.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Address of the include's server.
    #[must_use]
    pub fn tap_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.tap_port))
    }

    /// Where the tap answers.
    #[must_use]
    pub fn tap_url(&self) -> String {
        format!("http://{}/tap", self.tap_address())
    }

    /// What the tap answers now.
    ///
    /// # Errors
    /// It does not answer 200 with a report.
    pub fn tap_report(&self) -> anyhow::Result<TapReport> {
        self.tap_report_on("")
    }

    /// What the tap answers for these hosts, comma-separated; it keeps track of them from now on.
    ///
    /// # Errors
    /// As [`Nginx::tap_report`].
    pub fn tap_report_on(&self, hosts: &str) -> anyhow::Result<TapReport> {
        let answer = request(self.tap_address(), "GET", &format!("/tap?hosts={hosts}"), &[])?;
        if answer.status != 200 {
            bail!("the tap answers {}: {}", answer.head, answer.body);
        }
        serde_json::from_str(&answer.body).with_context(|| answer.body.clone())
    }

    /// The pids of the workers that take connections, ascending.
    #[must_use]
    pub fn worker_pids(&self) -> BTreeSet<u32> {
        let master = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children"));
        children
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .filter(|pid: &u32| {
                std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
                    .is_ok_and(|t| t.contains("worker process") && !t.contains("shutting down"))
            })
            .collect()
    }

    /// Sends HUP and waits until the new workers run and the old ones take no connections.
    ///
    /// # Errors
    /// nginx refuses its configuration: the old workers go on.
    pub fn reload(&self) -> anyhow::Result<()> {
        let before = self.worker_pids();
        let refused = |log: &str| log.matches("[emerg]").count();
        let refused_before = refused(&self.error_log());
        self.process.signal(Signal::HUP);
        wait::until("new workers after HUP", PATIENCE, || {
            if refused(&self.error_log()) > refused_before {
                return Ok(Err(anyhow::anyhow!("nginx refuses to reload: {}", self.error_log())));
            }
            let now = self.worker_pids();
            if now.len() == self.workers && now.is_disjoint(&before) { Ok(Ok(())) } else { Err(now) }
        })
    }

    /// Signals its master.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Kills one worker, as a crash would, and waits until the master has put another in its place.
    pub fn kill_worker(&self, pid: u32) {
        if let Some(raw) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(raw, Signal::KILL);
        }
        wait::until("nginx to replace a killed worker", PATIENCE, || match self.worker_pids() {
            now if now.len() == self.workers && !now.contains(&pid) => Ok(()),
            now => Err(now),
        });
    }

    /// What it has logged.
    #[must_use]
    pub fn error_log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("error.log")).unwrap_or_default();
        format!("{}{}", self.process.log(), String::from_utf8_lossy(&log))
    }
}

/// An answer by plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of the response.
    pub status: u16,
    /// Status line and headers as they came.
    pub head: String,
    /// Decoded from its chunks.
    pub body: String,
}

/// One request on a connection of its own; `headers` are lines without their ends.
///
/// # Errors
/// Nobody answers within ten seconds, or not with HTTP.
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &[&str]) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw)?;
    let raw = String::from_utf8_lossy(&raw);
    let (head, body) = raw.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked && method != "HEAD" { dechunk(body)? } else { body.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body })
}

fn dechunk(mut rest: &str) -> anyhow::Result<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").context("cut in a chunk")?;
        let size = usize::from_str_radix(size.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        body.push_str(after.get(..size).context("cut in a chunk")?);
        rest = after.get(size..).and_then(|r| r.strip_prefix("\r\n")).context("cut after a chunk")?;
    }
}
