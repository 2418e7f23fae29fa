//! What the viewer sees: headings, commands that can be repeated by hand, and what they print.
use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::ffi::OsString;
use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Ctrl-C or SIGTERM: the story ends where it is, and everything is put away.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// The screen, and whether somebody wants it to end.
#[derive(Debug)]
pub(crate) struct Show {
    stop: Arc<AtomicBool>,
    colour: bool,
    began: Instant,
    /// Further variables of the commands' environment.
    environment: Vec<(&'static str, OsString)>,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) output: String,
    pub(crate) code: Option<i32>,
}

impl Show {
    pub(crate) fn new() -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop))?;
        }
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self { stop, colour, began: Instant::now(), environment: Vec::new() })
    }

    /// Sets a variable of the environment of all commands from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: OsString) {
        self.environment.push((name, value));
    }

    /// A scene begins.
    pub(crate) fn heading(&self, text: &str) {
        self.line(&format!("\n{}", self.styled("1", text)));
    }

    pub(crate) fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}");
        let _ = out.flush();
    }

    /// Something true, or not, that the story turns on.
    pub(crate) fn mark(&self, good: bool, text: &str) {
        let (colour, word) = if good { ("32", "ok") } else { ("31", "!!") };
        self.line(&format!("  {} {text}", self.styled(colour, word)));
    }

    /// A command, as one would type it.
    pub(crate) fn typed(&self, text: &str) {
        self.line(&format!("  {} {text}", self.styled("2", "$")));
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Prints a command for sh, runs it, and prints those lines of its output that `keep` wants.
    pub(crate) fn run(&self, text: &str, keep: impl Fn(&str) -> bool) -> Result<Ran> {
        self.typed(text);
        let ran = self.quietly(text)?;
        for line in ran.output.lines().filter(|line| keep(line)) {
            self.line(&format!("    {line}"));
        }
        Ok(ran)
    }

    /// Runs a command for sh.
    pub(crate) fn quietly(&self, text: &str) -> Result<Ran> {
        self.interrupted()?;
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(text).envs(self.environment.iter().cloned()).stdin(Stdio::null());
        let said = shell.output().context("sh")?;
        // What Ctrl-C has ended as well has not failed.
        self.interrupted()?;
        let mut output = String::from_utf8_lossy(&said.stdout).into_owned();
        output.push_str(&String::from_utf8_lossy(&said.stderr));
        Ok(Ran { output: output.trim_end().to_owned(), code: said.status.code() })
    }

    /// Looks until there is something to see.
    pub(crate) fn until<T>(&self, what: &str, look: impl FnMut() -> Result<T>) -> Result<T> {
        self.within(Duration::from_secs(40), what, look)
    }

    /// As [`Show::until`], for so long at most.
    pub(crate) fn within<T>(
        &self,
        patience: Duration,
        what: &str,
        mut look: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            self.interrupted()?;
            match look() {
                Ok(found) => return Ok(found),
                Err(seen) if Instant::now() > deadline => {
                    bail!("waited {patience:?} for {what}; last seen: {seen:#}")
                }
                Err(_) => std::thread::park_timeout(Duration::from_millis(50)),
            }
        }
    }

    /// Waits until somebody ends it.
    pub(crate) fn until_interrupted(&self) {
        while self.interrupted().is_ok() {
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    pub(crate) fn interrupted(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Interrupted.into()) } else { Ok(()) }
    }

    /// Seconds since the show began.
    pub(crate) fn seconds(&self) -> f32 {
        self.began.elapsed().as_secs_f32()
    }
}
