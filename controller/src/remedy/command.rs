//! Runs a program, without a shell, in a process group of its own that ends with its timeout.
use super::config::Command;
use crate::clock;
use crate::converge::Intent;
use rustix::process::{Pid, Signal, kill_process_group};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// So many bytes of each of its outputs are kept.
const KEPT: usize = 1_024;
/// What of our environment it gets: tokens may be in the rest.
const INHERITED: [&str; 5] = ["PATH", "HOME", "USER", "LANG", "TZ"];
/// Once the program has ended, a child of it may hold its output open; so long is that waited for.
const DRAIN: Duration = Duration::from_millis(200);

/// Runs it to its end. Gives its exit status and what it printed first.
///
/// # Errors
/// In words: it cannot be started, ended with another status than 0, or took longer than the intent's timeout.
pub(super) async fn run(command: &Command, intent: &Intent) -> Result<String, String> {
    let (program, arguments) = command.argv.split_first().ok_or("argv is empty")?;
    let mut child = tokio::process::Command::new(program);
    child.args(arguments).env_clear();
    child.envs(INHERITED.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
    child.envs(facts(intent)).envs(&command.env);
    child
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = child.spawn().map_err(|e| format!("{program} cannot be started: {e}"))?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (mut printed, mut complained) = (Vec::new(), Vec::new());
    let status = {
        let outputs = async { tokio::join!(keep(out, &mut printed), keep(err, &mut complained)) };
        tokio::pin!(outputs);
        let work = async {
            let status = tokio::select! {
                status = child.wait() => status,
                _ = &mut outputs => return child.wait().await,
            };
            let _ = clock::timeout(DRAIN, &mut outputs).await;
            status
        };
        clock::timeout(Duration::from_millis(intent.timeout_ms), work).await
    };
    let said = [&complained, &printed]
        .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    let said = if said.is_empty() { said } else { format!(": {said}") };
    match status {
        Err(_) => Err(format!("{program} was ended after {} ms{said}", intent.timeout_ms)),
        Ok(Err(e)) => Err(format!("{program} cannot be waited for: {e}")),
        Ok(Ok(status)) => {
            // It ended by itself: what it left running was meant to.
            group.0 = None;
            if status.success() {
                Ok(format!("{program}: {status}{said}"))
            } else {
                Err(format!("{program}: {status}{said}"))
            }
        }
    }
}

/// What the program is told, beside its arguments.
fn facts(intent: &Intent) -> [(&'static str, String); 8] {
    let expected: Vec<String> = intent.expected.iter().map(ToString::to_string).collect();
    [
        ("CERTDRIFT_GATEWAY", intent.gateway.clone()),
        ("CERTDRIFT_ENDPOINT", intent.endpoint.clone()),
        ("CERTDRIFT_HOST", intent.host.clone()),
        ("CERTDRIFT_CAUSE", intent.cause.as_str().to_owned()),
        ("CERTDRIFT_REMEDY", intent.remedy.clone()),
        ("CERTDRIFT_INTENT", intent.id.to_string()),
        ("CERTDRIFT_SERVED", intent.served.map(|f| f.to_string()).unwrap_or_default()),
        ("CERTDRIFT_EXPECTED", expected.join(",")),
    ]
}

/// Reads to the end, so that the program never waits for a reader, and keeps the beginning.
async fn keep(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut buffer = [0u8; 1_024];
    while let Ok(n) = from.read(&mut buffer).await {
        let Some(read) = buffer.get(..n).filter(|read| !read.is_empty()) else { return };
        let room = KEPT.saturating_sub(kept.len()).min(n);
        kept.extend_from_slice(read.get(..room).unwrap_or_default());
    }
}

/// A process group that is killed when dropped: at the timeout, and when nobody waits for the program any more.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already, or not ours any more: nothing is left to do about it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
