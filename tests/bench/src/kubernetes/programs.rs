//! What is measured in the cluster: certdrift as it ships, the floor, and a plain reflector; and what each of them costs.
use super::objects::NAMESPACE;
use crate::process::{Memory, cpu, memory, until};
use crate::running::{PATIENCE, Running};
use anyhow::{Context as _, Result};
use certdrift_cluster::Cluster;
use certdrift_harness::process::{Process, free_port};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Ours,
    Floor,
    Reflector,
}

/// One of them, running.
pub(super) enum Runs {
    Ours(Running),
    Other { process: Process, started: Instant, _folder: tempfile::TempDir },
}

/// The environment variable with the folder of the floor and the reflector, from `cargo xtask bench`.
pub(super) const PEERS: &str = "CERTDRIFT_BENCH_KUBE";

/// A gateway whose Ingresses are those of the bench; nobody is at its one endpoint.
const GATEWAY: &str = "- name: kong
  kubernetes: {namespace: bench, bindings: {kong_ingress: {}}}
  endpoints: [{name: none, address: \"127.0.0.1:9\"}]
  observe: {sweep: 24h, per_second: 1}
";

impl Runs {
    pub(super) fn start(program: Program, cluster: &Cluster) -> Result<Self> {
        let name = match program {
            Program::Ours => {
                let sections = format!(
                    "kubernetes: {{kubeconfig: {}, namespace: {NAMESPACE}, reach: cluster}}\n",
                    cluster.kubeconfig().display()
                );
                let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
                return Ok(Self::Ours(Running::start_at(address, &sections, GATEWAY)?));
            }
            Program::Floor => "floor",
            Program::Reflector => "reflector",
        };
        let folder = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
        let binary = PathBuf::from(std::env::var_os(PEERS).context("run by cargo xtask bench --kubernetes")?);
        let mut command = Command::new(binary.join(name));
        command.env("KUBECONFIG", cluster.kubeconfig());
        let started = Instant::now();
        let process = Process::start(name, &mut command, folder.path())?;
        Ok(Self::Other { process, started, _folder: folder })
    }

    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Ours(running) => running.pid(),
            Self::Other { process, .. } => process.pid(),
        }
    }

    /// Waits until it knows all Secrets; how long that took.
    pub(super) fn complete(&mut self) -> Result<Duration> {
        match self {
            Self::Ours(running) => {
                running.ready()?;
                Ok(running.started.elapsed())
            }
            Self::Other { process, started, .. } => {
                until("all Secrets", PATIENCE, || {
                    anyhow::ensure!(process.ended().is_none(), "it has ended: {}", process.log());
                    Ok(process.log().contains("complete").then_some(()))
                })?;
                Ok(started.elapsed())
            }
        }
    }

    /// All that it has printed.
    pub(super) fn log(&self) -> String {
        match self {
            Self::Ours(running) => running.log(),
            Self::Other { process, .. } => process.log(),
        }
    }

    pub(super) fn cpu(&self) -> Result<Duration> {
        cpu(self.pid())
    }

    pub(super) fn memory(&self) -> Result<Memory> {
        memory(self.pid())
    }

    /// Bytes that its connections to the API server have received so far; of those that have ended nothing is known.
    pub(super) fn received(&self, api: SocketAddr) -> Result<f64> {
        let text = crate::process::run(Command::new("ss").args(["-Htinp", "state", "established"]))?.stdout;
        Ok(received(&text, self.pid(), api))
    }
}

/// Reads what `ss -Htinp` prints: a line for a connection, and a line of what is known of it.
fn received(text: &str, pid: u32, api: SocketAddr) -> f64 {
    let lines: Vec<&str> = text.lines().collect();
    let ours = |line: &str| {
        line.contains(&format!("pid={pid},")) && line.split_whitespace().any(|word| word == api.to_string())
    };
    lines
        .windows(2)
        .filter(|pair| ours(pair[0]))
        .filter_map(|pair| pair[1].split_whitespace().find_map(|word| word.strip_prefix("bytes_received:")))
        .filter_map(|bytes| bytes.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::received;

    #[test]
    fn what_ss_prints_is_read() {
        let text = "0 0 198.18.0.1:41234 198.18.0.1:6443 users:((\"certdrift\",pid=17,fd=9))\n\
                    \t cubic rto:201 bytes_sent:200 bytes_received:4711 segs_out:9\n\
                    0 0 127.0.0.1:80 127.0.0.1:41300 users:((\"certdrift\",pid=17,fd=11))\n\
                    \t cubic bytes_received:5\n\
                    0 0 198.18.0.1:41235 198.18.0.1:6443 users:((\"floor\",pid=170,fd=9))\n\
                    \t cubic bytes_received:6\n";
        assert!((received(text, 17, ([198, 18, 0, 1], 6443).into()) - 4711.0).abs() < f64::EPSILON);
    }
}
