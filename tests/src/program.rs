//! Running the command line as a user does: arguments in; exit code, stdout and stderr out. And `openssl s_server`,
//! for certificates no gateway would be given on purpose.
use crate::process::{Process, free_port};
use crate::wait;
use certdrift_contract::Fingerprint;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` when it was ended by a signal.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Ran {
    /// stdout as JSON.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Runs a program to its end.
///
/// # Panics
/// It cannot be started.
#[must_use]
pub fn run(program: &str, args: &[&str]) -> Ran {
    let out = Command::new(program)
        .args(args)
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: out.status.code(), stdout: text(&out.stdout), stderr: text(&out.stderr) }
}

/// Runs openssl in a folder.
///
/// # Panics
/// It fails, with its words.
pub fn openssl(folder: &Path, args: &[&str]) {
    let out = Command::new("openssl").args(args).current_dir(folder).stdin(Stdio::null()).output();
    let out = out.expect("openssl: install Debian's package openssl");
    assert!(out.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A running `openssl s_server`; ended when dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Process,
}

/// Starts `openssl s_server` in a folder with these arguments.
///
/// # Panics
/// It does not listen in time.
#[must_use]
pub fn s_server(folder: &Path, args: &[&str]) -> Server {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-accept", &address.to_string()]).args(args).current_dir(folder);
    let process =
        Process::start(&format!("s_server-{}", address.port()), &mut command, folder).expect("openssl");
    wait::until("openssl s_server to listen", Duration::from_secs(20), || {
        TcpStream::connect(address).map(drop).map_err(|e| format!("{e}; {}", process.log()))
    });
    Server { address, _process: process }
}

/// The fingerprint of a PEM file's first certificate as `openssl x509` says it.
///
/// # Panics
/// It cannot be read.
#[must_use]
pub fn fingerprint(pem: &Path) -> Fingerprint {
    let out = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(pem)
        .output()
        .expect("openssl: install Debian's package openssl");
    let text = String::from_utf8_lossy(&out.stdout);
    let hex = text.trim().rsplit('=').next().unwrap_or_default().replace(':', "").to_ascii_lowercase();
    hex.parse().unwrap_or_else(|e| panic!("{e}: {text}"))
}
