//! `certdrift run` in a folder of its own, and `certdrift status` asking it.
use crate::nginx::{Answer, request};
use crate::process::{Process, free_port};
use crate::wait;
use anyhow::Context as _;
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// On a machine that is busy, everything takes seconds.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running controller; drained and ended when dropped, and its folder removed.
#[derive(Debug)]
pub struct Controller {
    process: Option<Process>,
    folder: TempDir,
    address: SocketAddr,
    program: PathBuf,
    sections: String,
}

impl Controller {
    /// Starts it with these gateways (the YAML below `gateways:`), and waits until it answers.
    ///
    /// # Errors
    /// It does not build, or does not start.
    pub fn start(gateways: &str) -> anyhow::Result<Self> {
        Self::start_with("", gateways)
    }

    /// As [`Controller::start`], with further sections at the top of its configuration.
    ///
    /// # Errors
    /// As [`Controller::start`].
    pub fn start_with(sections: &str, gateways: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("certdrift-run-").tempdir()?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let program = xtask::build::certdrift()?;
        let mut controller = Self { process: None, folder, address, program, sections: sections.to_owned() };
        controller.configure(gateways)?;
        controller.run()?;
        Ok(controller)
    }

    /// Writes its configuration; a running one reads it after HUP.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn configure(&self, gateways: &str) -> anyhow::Result<()> {
        let text = format!(
            "state_dir: {}\nlisten: {{address: \"{}\"}}\nlog: {{format: json, level: debug}}\n{}\ngateways:\n{gateways}",
            self.state().display(),
            self.address,
            self.sections
        );
        std::fs::write(self.configuration(), text).context("its configuration")
    }

    /// Starts it again, after [`Controller::kill`].
    ///
    /// # Errors
    /// It does not start.
    pub fn run(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["run", "--config"]).arg(self.configuration());
        for name in ["CERTDRIFT_CONFIG", "CERTDRIFT_LISTEN", "CERTDRIFT_STATE_DIR", "CERTDRIFT_LOG_LEVEL"] {
            command.env_remove(name);
        }
        self.process = Some(Process::start("controller", &mut command, self.folder.path())?);
        wait::until("the controller to answer", PATIENCE, || match self.get("/livez") {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}: {}", self.log())),
        });
        Ok(())
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended();
        self.process = None;
    }

    /// Its process id; none while it does not run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Signals it.
    pub fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Waits for its end; its exit code, none when a signal ended it.
    pub fn ended(&mut self) -> Option<i32> {
        let log = self.log();
        let process = self.process.as_mut()?;
        wait::until("the controller to end", PATIENCE, || process.ended().ok_or_else(|| log.clone())).code()
    }

    /// Asks it by plain HTTP.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        request(self.address, "GET", path, &[])
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its directory of state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Its configuration file.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("certdrift.yaml")
    }

    /// A folder for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Runs `certdrift` with these arguments, asking this controller.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn certdrift(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .env("CERTDRIFT_URL", format!("http://{}", self.address))
            .env("LC_ALL", "C.UTF-8");
        Ok(command.output()?)
    }

    /// `certdrift status -o json` and its exit code.
    ///
    /// # Errors
    /// It answers no JSON.
    pub fn status(&self) -> anyhow::Result<(i32, Value)> {
        let output = self.certdrift(&["status", "-o", "json"])?;
        let code = output.status.code().context("ended by a signal")?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((code, serde_json::from_slice(&output.stdout).with_context(|| told)?))
    }

    /// Waits until status exits with this code; gives its JSON.
    #[track_caller]
    pub fn until_status(&self, wanted: i32) -> Value {
        wait::until(&format!("status to exit with {wanted}"), PATIENCE, || match self.status() {
            Ok((code, state)) if code == wanted => Ok(state),
            Ok((code, state)) => Err(format!("{code}: {state}\n{}", self.log())),
            Err(error) => Err(format!("{error:#}\n{}", self.log())),
        })
    }

    /// Waits until a metric's series has this value or more.
    #[track_caller]
    pub fn until_metric(&self, series: &str, wanted: f64) {
        wait::until(&format!("{series} to be {wanted}"), PATIENCE, || match self.metric(series) {
            Ok(value) if value >= wanted => Ok(()),
            other => Err(format!("{other:?}\n{}", self.log())),
        });
    }

    /// Value of a metric's series, named with its labels as the classic page writes it.
    ///
    /// # Errors
    /// Nobody answers, or there is no such series.
    pub fn metric(&self, series: &str) -> anyhow::Result<f64> {
        let page = self.get("/metrics")?.body;
        let line = page.lines().find_map(|line| line.strip_prefix(series)).with_context(|| page.clone())?;
        Ok(line.trim().parse()?)
    }
}
