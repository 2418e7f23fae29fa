//! `certdrift run`, the binary that ships, with a configuration of the bench's.
use crate::process::{cpu, memory, until};
use anyhow::{Context as _, Result};
use certdrift_harness::nginx::{Answer, request};
use certdrift_harness::process::{Process, free_port};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Everything takes long on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Ended when dropped, and its folder removed.
#[derive(Debug)]
pub(crate) struct Running {
    process: Process,
    folder: tempfile::TempDir,
    address: SocketAddr,
    pub(crate) started: Instant,
}

impl Running {
    /// Starts it with these gateways (the YAML below `gateways:`). Not waited for: how long that takes is the question.
    pub(crate) fn start(gateways: &str) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self::start_at(address, "", gateways)
    }

    /// As [`Running::start`], where others must know its address before; with more sections of the configuration.
    pub(crate) fn start_at(address: SocketAddr, sections: &str, gateways: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("certdrift-bench-").tempdir()?;
        let configuration = folder.path().join("certdrift.yaml");
        let text = format!(
            "state_dir: {}\nlisten: {{address: \"{address}\"}}\nlog: {{format: json}}\n{sections}gateways:\n{gateways}",
            folder.path().join("state").display(),
        );
        std::fs::write(&configuration, text)?;
        let mut command = Command::new(xtask::build::certdrift()?);
        command.args(["run", "--config"]).arg(&configuration);
        for name in ["CERTDRIFT_CONFIG", "CERTDRIFT_LISTEN", "CERTDRIFT_STATE_DIR", "CERTDRIFT_LOG_LEVEL"] {
            command.env_remove(name);
        }
        let started = Instant::now();
        let process = Process::start("certdrift", &mut command, folder.path())?;
        Ok(Self { process, folder, address, started })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(self.pid())
    }

    pub(crate) fn memory(&self) -> Result<crate::process::Memory> {
        memory(self.pid())
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        request(self.address, "GET", path, &[])
    }

    /// Waits until it has its first complete ledger.
    pub(crate) fn ready(&mut self) -> Result<()> {
        let ready = until("the first complete ledger", PATIENCE, || {
            if self.process.ended().is_some() {
                return Ok(Some(false));
            }
            // Asked more often, the asking would be a good part of the work.
            std::thread::park_timeout(Duration::from_millis(20));
            Ok(self.get("/readyz").is_ok_and(|answer| answer.status == 200).then_some(true))
        });
        anyhow::ensure!(ready.with_context(|| self.log())?, "certdrift has ended: {}", self.log());
        Ok(())
    }

    /// The file of a gateway's ledger.
    pub(crate) fn ledger(&self, gateway: &str) -> PathBuf {
        self.folder.path().join("state").join(gateway).join("ledger.json")
    }

    /// Sum of all series of a metric whose labels hold `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let page = self.get("/metrics")?.body;
        let series = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
        series.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<f64>()?)).sum()
    }

    /// What it knows of its gateways.
    pub(crate) fn state(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.get("/debug/state")?.body)?)
    }

    pub(crate) fn log(&self) -> String {
        let log = self.process.log();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// A gateway of the configuration that is looked at and never healed; `observe` and `endpoints` as YAML.
pub(crate) fn gateway(name: &str, certificates: &Path, observe: &str, endpoints: &[SocketAddr]) -> String {
    let mut text = format!(
        "  - name: {name}\n    sources: [{{directory: {}}}]\n    observe: {{{observe}}}\n    endpoints:\n",
        certificates.display()
    );
    for (position, endpoint) in endpoints.iter().enumerate() {
        let _ = writeln!(text, "      - {{name: e{position}, address: \"{endpoint}\"}}");
    }
    text
}
