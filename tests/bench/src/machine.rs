//! What was measured on, when, and with which versions: the lines above the figures.
use anyhow::{Context as _, Result};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;
use xtask::tools::{self, Tool};
use xtask::workspace;

/// One line a fact. Taken before anything is measured: the load must not be our own.
pub(crate) fn lines() -> Result<Vec<String>> {
    let cores = std::thread::available_parallelism()?.get();
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load: f64 = load.split(' ').next().unwrap_or_default().parse()?;
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let date = certdrift_contract::UnixTime::from_seconds(i64::try_from(seconds)?);
    let commit = workspace::output(
        Command::new("git").args(["log", "-1", "--format=%h of %cs"]).current_dir(workspace::root()),
    )
    .unwrap_or_else(|_| "not from a repository".to_owned());
    Ok(vec![
        format!("date: {date}; commit {commit}"),
        format!(
            "machine: {}; {cores} cores, {} GiB; Linux {}",
            field("/proc/cpuinfo", "model name").unwrap_or_else(|| "a processor without a name".to_owned()),
            memory().unwrap_or_default(),
            std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(),
        ),
        format!("load average before the run: {load}{}", told(load, cores)),
        format!(
            "certdrift {}, release build, as it ships (jemalloc); rustls with ring; {}; Wasmtime {} for the counts",
            env!("CARGO_PKG_VERSION"),
            first_line(Command::new("rustc").arg("--version"))?,
            locked("wasmtime")?,
        ),
        format!(
            "beside: {}; {}; {}; {}; {}",
            first_line(Command::new(tools::find(Tool::Nginx)?).arg("-v"))?,
            envoy(&first_line(Command::new(tools::find(Tool::Envoy)?).arg("--version"))?),
            openssl(&first_line(Command::new(tools::find(Tool::OpenSsl)?).arg("version"))?),
            first_line(Command::new(tools::find(Tool::Go)?).arg("version"))?,
            wrk(&first_line(Command::new(tools::find(Tool::Wrk)?).arg("-v"))?),
        ),
    ])
}

/// Whether others used the machine.
fn told(load: f64, cores: usize) -> &'static str {
    #[allow(clippy::cast_precision_loss, reason = "a number of cores")]
    let each = load / cores as f64;
    if each > 0.3 {
        ": **the machine was not quiet**, absolute times and rates are worse than it can"
    } else {
        ""
    }
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// GiB.
fn memory() -> Option<u64> {
    let total: u64 = field("/proc/meminfo", "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(total.div_ceil(1 << 20))
}

/// Some programs tell their version on stderr, and some fail after it.
fn first_line(command: &mut Command) -> Result<String> {
    let said = command.output().with_context(|| format!("{}", command.get_program().display()))?;
    let text = [said.stdout, said.stderr].concat();
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .to_owned())
}

/// `…/envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
fn envoy(line: &str) -> String {
    format!("Envoy {}", line.split('/').find(|part| part.starts_with("1.")).unwrap_or("?"))
}

fn openssl(line: &str) -> String {
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `wrk debian/4.1.0-3+b2 [epoll] Copyright …`
fn wrk(line: &str) -> String {
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn locked(name: &str) -> Result<String> {
    let lock = std::fs::read_to_string(Path::new(workspace::root()).join("Cargo.lock"))?;
    let (_, after) = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).context("Cargo.lock")?;
    Ok(after.split('"').next().unwrap_or_default().to_owned())
}
