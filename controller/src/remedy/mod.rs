//! What makes a gateway serve what is expected: a signal, a command, a webhook; in a cluster another pod, a program in a pod, a
//! rollout, a push.
//!
//! [`crate::converge`] decides, this folder acts. The state, and with it the intent, is on disk before the act
//! ([`state_file`]); what was done, why, and what came of it is written to the history ([`history`]). An act says
//! whether it did what it was asked to do; whether that helped is for the wire to say.
pub mod config;
pub mod history;
pub mod record;
pub mod state_file;

mod command;
mod evict;
mod kube_exec;
mod rollout;
mod signal;
mod touch;
mod webhook;

use crate::cluster::ObjectName;
use crate::cluster::pod::Workload;
use crate::converge::Intent;
use crate::observe::http::Client;
use config::Act;
use std::fmt;

/// What an act says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// It did what it was asked to do.
    pub ok: bool,
    /// What it said, or why it could not; at most some thousand characters, none of them a control character but line feeds.
    pub said: String,
}

/// Nothing was done, and it may be asked for again later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStarted {
    /// Why not, in words.
    pub why: String,
    /// Somebody else writes the template of the gateway's pods, as was found.
    pub template_is_owned: bool,
}

impl From<String> for NotStarted {
    fn from(why: String) -> Self {
        Self { why, template_is_owned: false }
    }
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: ObjectName,
    /// Another of the same name is not meant.
    pub uid: Box<str>,
}

/// What a remedy in a cluster acts on, and the way to its API server.
#[derive(Clone)]
pub struct Target {
    /// To the API server.
    pub client: kube::Client,
    /// That of the endpoint, where it is a pod.
    pub pod: Option<Pod>,
    /// What makes that pod.
    pub workload: Option<Workload>,
    /// Somebody else writes the template of its pods.
    pub template_is_owned: bool,
    /// What the host's certificate is from.
    pub secret: Option<ObjectName>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client: _, pod, workload, template_is_owned, secret } = self;
        f.debug_struct("Target")
            .field("pod", pod)
            .field("workload", workload)
            .field("template_is_owned", template_is_owned)
            .field("secret", secret)
            .finish_non_exhaustive()
    }
}

/// What an act in a cluster comes to: what is to be told, of a failure as the inner error; or nothing was done.
type Acted = Result<Result<String, String>, NotStarted>;

/// Does what was decided. Ends within the intent's timeout; when the future is dropped before, what it started is ended, but
/// for a rollout and a program in a pod. `client` verifies the webhook's receiver against the system's authorities; `target` is there in a cluster.
///
/// # Errors
/// Nothing was done, and it may be asked for again later.
pub async fn perform(
    act: &Act,
    intent: &Intent,
    client: &Client,
    target: Option<&Target>,
) -> Result<Outcome, NotStarted> {
    let result = match (act, target) {
        (Act::Signal(signal), _) => signal::send(signal),
        (Act::Command(command), _) => command::run(command, intent).await,
        (Act::Webhook(webhook), _) => webhook::post(webhook, intent, client).await,
        (Act::Evict(_), Some(target)) => evict::evict(target).await?,
        (Act::KubeExec(exec), Some(target)) => kube_exec::run(exec, target, intent).await?,
        (Act::Rollout(_), Some(target)) => rollout::restart(target, intent).await?,
        (Act::Touch(_), Some(target)) => touch::touch(target, intent).await?,
        (Act::Evict(_) | Act::KubeExec(_) | Act::Rollout(_) | Act::Touch(_), None) => {
            Err("the gateway is in no cluster".to_owned())
        }
    };
    Ok(match result {
        Ok(said) => Outcome { ok: true, said: printable(&said) },
        Err(said) => Outcome { ok: false, said: printable(&said) },
    })
}

/// Foreign text for history and terminals: bounded, and without control characters.
fn printable(text: &str) -> String {
    let safe = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.trim_end().chars().take(4_096).map(safe).collect()
}

#[cfg(test)]
mod tests;
