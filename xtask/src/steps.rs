//! The steps of one command, timed; at the end a table says what took long.
use crate::progress::Step;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Steps that have run, in order, and those that failed.
#[derive(Debug, Default)]
pub struct Steps {
    ran: Vec<(String, Duration, bool)>,
}

impl Steps {
    /// Runs a step whose output is its own to show; stops the command when it fails.
    ///
    /// # Errors
    /// Those of the step.
    pub fn must<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("{name}");
        let started = Instant::now();
        let result = step();
        self.ran.push((name.to_owned(), started.elapsed(), result.is_ok()));
        result
    }

    /// Runs a step; when it fails that is said and kept, and the command goes on, so that one run shows all.
    pub fn try_all(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        if let Err(error) = self.must(name, step) {
            eprintln!("  {name}: {error:#}");
        }
    }

    /// Runs a silent step as one line; like [`Steps::try_all`] in failure.
    pub fn line(&mut self, name: &str, step: impl FnOnce() -> Result<()>) {
        let line = Step::start(name);
        let started = Instant::now();
        let result = step();
        self.ran.push((name.to_owned(), started.elapsed(), result.is_ok()));
        match result {
            Ok(()) => line.done(""),
            Err(error) => {
                drop(line);
                eprintln!("  {name}: {error:#}");
            }
        }
    }

    /// Prints what took long, longest first, and names what failed.
    ///
    /// # Errors
    /// A step has failed.
    pub fn end(mut self) -> Result<()> {
        self.ran.sort_by_key(|(_, took, _)| std::cmp::Reverse(*took));
        let total: Duration = self.ran.iter().map(|(_, took, _)| *took).sum();
        eprintln!("\nwhat took long");
        for (name, took, passed) in &self.ran {
            eprintln!("  {:>7.1} s  {name}{}", took.as_secs_f32(), if *passed { "" } else { "  FAILED" });
        }
        eprintln!("  {:>7.1} s  in all", total.as_secs_f32());
        let failed: Vec<&str> =
            self.ran.iter().filter(|(_, _, passed)| !passed).map(|(name, _, _)| name.as_str()).collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}
