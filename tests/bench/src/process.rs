//! What the kernel accounts to processes: CPU in nanoseconds, memory in bytes.
use anyhow::{Context as _, Result};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// CPU that all threads of a process have used so far (`/proc/PID/task/*/schedstat`: nanoseconds, not ticks). Threads
/// that have ended are not in it.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0u64;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("the process has ended")? {
        // A thread that ends while we look is one that has ended.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanoseconds += schedstat(&text).context("schedstat")?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn schedstat(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// CPU of all children of ours that have ended and were waited for.
fn cpu_of_children() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let ticks = children_ticks(&stat).context("/proc/self/stat")?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// `cutime` and `cstime`: fields 16 and 17 of proc(5); the name in field 2 may hold anything.
fn children_ticks(stat: &str) -> Option<u64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(13);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// A command that was run to its end.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// Of it and its own children.
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) stdout: String,
}

/// Runs a command to its end. One at a time: what children use is told as one sum.
pub(crate) fn run(command: &mut Command) -> Result<Ran> {
    let (before, began) = (cpu_of_children()?, Instant::now());
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let (wall, cpu) = (began.elapsed(), cpu_of_children()?.saturating_sub(before));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{} failed ({}): {stdout}{}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Ran { cpu, wall, stdout })
}

/// Memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident now, bytes.
    pub(crate) now: u64,
    /// The most there ever was, bytes.
    pub(crate) peak: u64,
    /// Of `now`, what it holds by itself and no file does: the rest is the binary, which the system may drop and read again.
    pub(crate) own: u64,
}

/// Its resident set (`VmRSS`, `VmHWM`, `RssAnon`).
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process has ended")?;
    resident(&status).context("/proc/PID/status")
}

fn resident(status: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    };
    Some(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")?, own: field("RssAnon:")? })
}

/// Asks `look` until it gives something, or the deadline passes.
pub(crate) fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let seen = look();
        match seen {
            Ok(Some(found)) => return Ok(found),
            Ok(None) if Instant::now() >= deadline => anyhow::bail!("waited {patience:?} for {what}"),
            Err(error) if Instant::now() >= deadline => return Err(error).context(what.to_owned()),
            _ => std::thread::park_timeout(Duration::from_millis(5)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read_as_proc_5_says() {
        assert_eq!(schedstat("123456789 5 6\n"), Some(123_456_789));
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 7";
        assert_eq!(children_ticks(stat), Some(70));
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nRssAnon:\t    4096 kB\n";
        assert_eq!(resident(status), Some(Memory { now: 10 << 20, peak: 20 << 20, own: 4 << 20 }));
    }

    #[test]
    fn what_a_child_used_is_told() {
        let ran =
            run(Command::new("sh").args(["-c", "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; echo $i"]));
        let ran = ran.expect("sh");
        assert_eq!(ran.stdout, "50000\n");
        assert!(ran.cpu > Duration::ZERO && ran.wall > Duration::ZERO, "{ran:?}");
    }
}
