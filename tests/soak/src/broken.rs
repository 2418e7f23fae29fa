//! Builds of certdrift with the line broken that handles a fault: the soak must catch each of them.
//!
//! `tests/broken/FAULT.patch` is applied to a copy of the tree in `target/soak/tree`, which is built with a target folder
//! of its own; production code has no hook for it.
use crate::faults::{self, Fault};
use crate::scene::Ground;
use crate::{CAUGHT, CHILD, SAID, Wanted};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use xtask::workspace;

fn patch(name: &str) -> PathBuf {
    workspace::root().join(format!("tests/broken/{name}.patch"))
}

/// There is a patch for each fault, and each patch still applies.
///
/// # Errors
/// One is missing, or does not; all are named.
pub(crate) fn each_applies() -> Result<()> {
    let mut wrong = Vec::new();
    for fault in faults::all() {
        let mut git = Command::new("git");
        git.current_dir(workspace::root()).args(["apply", "--check"]).arg(patch(fault.name));
        if let Err(error) = workspace::output(&mut git) {
            wrong.push(format!("{}: {error:#}", fault.name));
        }
    }
    if !wrong.is_empty() {
        bail!("broken builds that can no longer be made:\n{}", wrong.join("\n"));
    }
    Ok(())
}

/// Breaks one line after the other, and plays the fault that it handles, while the next one is built.
///
/// # Errors
/// A broken build passes, or one cannot be built.
pub(crate) fn each_is_caught(ground: &'static Ground, faults: &[Fault], wanted: &Wanted) -> Result<()> {
    let began = Instant::now();
    let tree = Tree::copied()?;
    let (hand_over, built) = std::sync::mpsc::sync_channel::<(Fault, PathBuf, Duration)>(3);
    let played = Mutex::new(BTreeMap::new());
    let built = Mutex::new(built);
    std::thread::scope(|scope| -> Result<()> {
        for _ in 0..wanted.jobs.unwrap_or(3) {
            scope.spawn(|| {
                while let Ok((fault, binary, took)) = { lock(&built).recv() } {
                    let played_from = Instant::now();
                    let caught = play(&fault, &binary, wanted.seed, ground);
                    let _ = std::fs::remove_file(binary);
                    tell(&fault, took, played_from.elapsed(), &caught);
                    lock(&played).insert(fault.name, caught);
                }
            });
        }
        for fault in faults {
            let started = Instant::now();
            let binary =
                tree.build(fault.name).with_context(|| format!("the broken build for {}", fault.name))?;
            if hand_over.send((*fault, binary, started.elapsed())).is_err() {
                bail!("nobody plays");
            }
        }
        drop(hand_over);
        Ok(())
    })?;
    let played = played.into_inner().unwrap_or_else(PoisonError::into_inner);
    let missed: Vec<&str> =
        played.iter().filter(|(_, caught)| caught.is_err()).map(|(name, _)| *name).collect();
    let caught = played.len() - missed.len();
    eprintln!("{} broken builds, {caught} caught, {:?}", faults.len(), began.elapsed());
    if wanted.names.is_empty() {
        let took = began.elapsed().as_secs() / 60;
        certdrift_guarantee::record(
            "soak-broken",
            format!("{caught} of {} broken builds caught, in {took} minutes", faults.len()),
        );
    }
    if !missed.is_empty() {
        bail!("broken builds that nobody notices: {}", missed.join(" "));
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(fault: &Fault, built: Duration, played: Duration, caught: &Result<String, String>) {
    let (verdict, why) = match caught {
        Ok(why) => ("caught", why),
        Err(why) => ("NOT CAUGHT", why),
    };
    let why: String = why.lines().next().unwrap_or_default().chars().take(200).collect();
    let (built, played) = (built.as_secs_f32(), played.as_secs_f32());
    eprintln!("  built in {built:>5.1} s, played in {played:>5.1} s  {}: {verdict}: {why}", fault.name);
}

/// Plays the fault with a broken build, in a process of its own: what the check said, or why it has said nothing.
fn play(fault: &Fault, binary: &Path, seed: u64, ground: &Ground) -> Result<String, String> {
    let mut last = String::new();
    // A fault that needs a certain order of things is not met by every seed.
    for seed in seed..seed + 3 {
        let mut child = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
        child.args([fault.name, "--seeds", "1", "--jobs", "1", "--seed", &seed.to_string()]);
        child.env(xtask::build::BINARY, binary).env(CHILD, "1");
        if let Some((cluster, _)) = &ground.cluster {
            child.env(certdrift_cluster::cluster::SHARED, cluster.place().name());
        }
        let said = child.output().map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        let words = text.lines().find(|line| line.starts_with(SAID)).unwrap_or_default();
        let words = words.trim_start_matches(SAID).to_owned();
        match said.status.code() {
            Some(code) if code == i32::from(CAUGHT) => return Ok(words),
            Some(0) => last = format!("seed {seed} holds"),
            // It does not even stand: the wrong thing is broken.
            _ => {
                return Err(format!(
                    "it breaks before the fault: {words} {}",
                    text.chars().rev().take(400).collect::<String>().chars().rev().collect::<String>()
                ));
            }
        }
    }
    Err(last)
}

/// A copy of the tree, in which one thing at a time is broken.
struct Tree {
    folder: PathBuf,
}

impl Tree {
    fn copied() -> Result<Self> {
        let folder = workspace::target().join("soak/tree");
        let mut git = Command::new("git");
        git.current_dir(workspace::root()).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ]);
        let files = workspace::output(&mut git)?;
        for file in files.split('\0').filter(|file| !file.is_empty()) {
            let (from, to) = (workspace::root().join(file), folder.join(file));
            // A file that was deleted is listed until that is committed.
            let Ok(text) = std::fs::read(&from) else { continue };
            // What is the same stays as old as it is, and is not compiled again.
            if std::fs::read(&to).is_ok_and(|there| there == text) {
                continue;
            }
            std::fs::create_dir_all(to.parent().context("a folder")?)?;
            std::fs::write(to, text)?;
        }
        Ok(Self { folder })
    }

    /// Applies a patch, or takes it back; git is kept from finding the repository around.
    fn apply(&self, name: &str, back: bool) -> Result<()> {
        let mut git = Command::new("git");
        git.current_dir(&self.folder).env("GIT_CEILING_DIRECTORIES", workspace::target().join("soak"));
        git.arg("apply").args(back.then_some("--reverse")).arg(patch(name));
        workspace::output(&mut git).map(drop)
    }

    /// The program with this line broken.
    fn build(&self, name: &str) -> Result<PathBuf> {
        self.apply(name, false)?;
        let target = workspace::target().join("soak/target");
        let mut cargo = workspace::cargo();
        cargo.current_dir(&self.folder).args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "certdrift",
            "--target-dir",
        ]);
        cargo
            .arg(&target)
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env_remove("CARGO_TARGET_DIR");
        let built = workspace::output(&mut cargo);
        self.apply(name, true)?;
        built?;
        let binary = workspace::target().join(format!("soak/certdrift-{name}"));
        std::fs::rename(target.join("debug/certdrift"), &binary)?;
        Ok(binary)
    }
}
