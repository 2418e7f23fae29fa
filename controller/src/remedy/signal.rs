//! Sends a signal to the gateway's main process: through a process descriptor, so that between looking at the process
//! and signalling it the id cannot come to mean another one.
use super::config::{Signal, SignalName};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use std::io::Read as _;
use std::path::Path;

/// Sends it. Gives what was done.
///
/// # Errors
/// In words: the pid file is missing or holds no process id, the process has ended, is another one than named, or may
/// not be signalled by this user.
pub(super) fn send(signal: &Signal) -> Result<String, String> {
    let number = match (&signal.pid_file, signal.pid) {
        (Some(file), _) => read_pid(file)?,
        (None, Some(pid)) => pid,
        (None, None) => return Err("neither pid_file nor pid is given".to_owned()),
    };
    if number == std::process::id() {
        return Err(format!("process {number} is certdrift itself"));
    }
    let pid = i32::try_from(number)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| format!("{number} is no process id"))?;
    let process =
        pidfd_open(pid, PidfdFlags::empty()).map_err(|e| format!("there is no process {number}: {e}"))?;
    let name = name_of(number)?;
    if let Some(wanted) = &signal.process
        && *wanted != name
    {
        return Err(format!(
            "process {number} is {name:?}, not {wanted:?}: the process id is of another time"
        ));
    }
    let (which, text) = match signal.signal {
        SignalName::Hup => (rustix::process::Signal::HUP, "HUP"),
        SignalName::Usr1 => (rustix::process::Signal::USR1, "USR1"),
        SignalName::Usr2 => (rustix::process::Signal::USR2, "USR2"),
        SignalName::Term => (rustix::process::Signal::TERM, "TERM"),
    };
    pidfd_send_signal(process, which)
        .map_err(|e| format!("process {number} ({name}) cannot be signalled: {e}"))?;
    Ok(format!("sent {text} to process {number} ({name})"))
}

fn read_pid(file: &Path) -> Result<u32, String> {
    let shown = file.display();
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|f| f.take(64).read_to_string(&mut text));
    read.map_err(|e| format!("{shown}: {e}"))?;
    let pid = text.trim().parse().ok().filter(|pid| *pid > 0);
    pid.ok_or_else(|| format!("{shown} holds no process id: {:?}", text.trim()))
}

/// The name of a process that runs (the kernel keeps 15 bytes of it).
fn name_of(pid: u32) -> Result<String, String> {
    let ended = |_| format!("process {pid} has just ended");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(ended)?;
    // proc(5): `PID (NAME) STATE …`, where NAME may hold spaces and parentheses.
    let (name, rest) = stat
        .split_once('(')
        .and_then(|(_, rest)| rest.rsplit_once(')'))
        .ok_or_else(|| format!("/proc/{pid}/stat cannot be read"))?;
    if rest.trim_start().starts_with(['Z', 'X']) {
        return Err(format!("process {pid} ({name}) has ended and waits for its parent"));
    }
    Ok(name.to_owned())
}
