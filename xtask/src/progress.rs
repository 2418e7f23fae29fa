//! One line a step on stderr, with the time it took; on a terminal the seconds count while it runs.
use anyhow::{Result, bail};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A step that is under way. Say how it went with [`Step::done`]; dropped without that, it has failed.
#[derive(Debug)]
pub struct Step {
    label: String,
    started: Instant,
    ticking: Option<(Sender<()>, JoinHandle<()>)>,
    finished: bool,
}

impl Step {
    /// Begins a step and says so.
    #[must_use]
    pub fn start(label: impl Into<String>) -> Self {
        let label = label.into();
        let started = Instant::now();
        let ticking = if std::io::stderr().is_terminal() {
            let (stop, stopped) = channel::<()>();
            let text = label.clone();
            let thread = std::thread::spawn(move || {
                loop {
                    let _ =
                        write!(std::io::stderr(), "\r  {text} ... {:.0} s ", started.elapsed().as_secs_f32());
                    if stopped.recv_timeout(Duration::from_secs(1))
                        != Err(std::sync::mpsc::RecvTimeoutError::Timeout)
                    {
                        return;
                    }
                }
            });
            Some((stop, thread))
        } else {
            let _ = writeln!(std::io::stderr(), "  {label} ...");
            None
        };
        Self { label, started, ticking, finished: false }
    }

    /// Ends the step; `note` (a size, a version) is added to its line.
    pub fn done(mut self, note: &str) {
        self.finish(if note.is_empty() { "done" } else { note });
    }

    fn finish(&mut self, how: &str) {
        self.finished = true;
        let terminal = self.ticking.is_some();
        if let Some((stop, thread)) = self.ticking.take() {
            drop(stop);
            let _ = thread.join();
        }
        let seconds = self.started.elapsed().as_secs_f32();
        let start = if terminal { "\r\x1b[K" } else { "" };
        let _ = writeln!(std::io::stderr(), "{start}  {}: {how}, {seconds:.1} s", self.label);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.finished {
            self.finish("FAILED");
        }
    }
}

/// Runs `command` in silence. When it fails, the end of what it printed is in the error.
///
/// # Errors
/// It cannot be started, or fails.
pub fn quietly(command: &mut Command) -> Result<()> {
    let program = crate::workspace::shown(command);
    let (mut printed, pipe) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(pipe.try_clone()?).stderr(pipe);
    let started = command.spawn();
    // The pipe's ends that the command holds must close with the child, or the read below never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = match started {
        Ok(child) => child,
        Err(error) => bail!("cannot start {}: {error}", command.get_program().display()),
    };
    let mut bytes = Vec::new();
    printed.read_to_end(&mut bytes)?;
    let status = child.wait()?;
    if !status.success() {
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n    ");
        bail!("failed ({status}): {program}\n    {tail}");
    }
    Ok(())
}
