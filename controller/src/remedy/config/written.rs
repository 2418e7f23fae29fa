//! A remedy as configuration writes it.
use super::{Act, Command, Evict, KubeExec, Remedy, Rollout, Signal, Touch, Webhook};
use crate::converge::period::Period;
use crate::diagnose::Cause;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A remedy; exactly one of `signal`, `command`, `webhook`, `evict`, `kube_exec`, `rollout` and `touch` says what is done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Remedy")]
pub(super) struct Written {
    /// What history and status call it; unique within the list.
    name: String,
    /// The causes it is for; every cause that it usually mends when absent: `evict` pod-behind; `kube_exec` stale-worker, file-not-reloaded and unexplained; `rollout`
    /// file-not-reloaded and not-reloadable; `touch` pod-empty and not-pushed; the others what a reload mends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
    /// The endpoint it acts on; the whole gateway when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// Whether it restarts something: then maintenance windows, other rollouts, a single replica and disruption budgets hold it back. `evict` and `rollout` do, whatever is said.
    #[serde(default)]
    restarts: bool,
    /// How long it may take; it is ended then, and counts as failed. 30 s when absent, of `rollout` 10 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Period>,
    /// Sends a signal to the gateway's main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<Signal>,
    /// Runs a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<Command>,
    /// Sends a POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
    /// Evicts the pod of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evict: Option<Evict>,
    /// Runs a program in the pod of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kube_exec: Option<KubeExec>,
    /// Restarts the workload of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollout: Option<Rollout>,
    /// Has the ingress controller push anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    touch: Option<Touch>,
}

impl TryFrom<Written> for Remedy {
    type Error = String;
    fn try_from(w: Written) -> Result<Self, String> {
        let acts: [Option<Act>; 7] = [
            w.signal.map(Act::Signal),
            w.command.map(Act::Command),
            w.webhook.map(Act::Webhook),
            w.evict.map(Act::Evict),
            w.kube_exec.map(Act::KubeExec),
            w.rollout.map(Act::Rollout),
            w.touch.map(Act::Touch),
        ];
        let mut acts = acts.into_iter().flatten();
        let (Some(act), None) = (acts.next(), acts.next()) else {
            let why = "needs exactly one of signal, command, webhook, evict, kube_exec, rollout and touch";
            return Err(format!("remedy {:?} {why}", w.name));
        };
        let wrong = |what: &str| Err(format!("remedy {:?}: {what}", w.name));
        match &act {
            _ if w.name.is_empty() => return wrong("name is empty"),
            Act::Signal(s) if s.pid.is_some() == s.pid_file.is_some() => {
                return wrong("signal needs either pid_file or pid");
            }
            Act::Command(c) if c.argv.first().is_none_or(String::is_empty) => {
                return wrong("command.argv needs a program");
            }
            Act::KubeExec(c) if c.argv.first().is_none_or(String::is_empty) => {
                return wrong("kube_exec.argv needs a program");
            }
            Act::Webhook(h) if !h.url.starts_with("http://") && !h.url.starts_with("https://") => {
                return wrong("webhook.url begins with http:// or https://");
            }
            _ => {}
        }
        let usual = if matches!(act, Act::Rollout(_)) { 600 } else { 30 };
        Ok(Self {
            name: w.name,
            causes: w.causes,
            endpoint: w.endpoint,
            restarts: w.restarts || act.restarts(),
            timeout: w.timeout.unwrap_or(Period::seconds(usual)),
            act,
        })
    }
}

impl From<Remedy> for Written {
    fn from(r: Remedy) -> Self {
        let mut written = Self {
            name: r.name,
            causes: r.causes,
            endpoint: r.endpoint,
            restarts: r.restarts,
            timeout: Some(r.timeout),
            signal: None,
            command: None,
            webhook: None,
            evict: None,
            kube_exec: None,
            rollout: None,
            touch: None,
        };
        match r.act {
            Act::Signal(act) => written.signal = Some(act),
            Act::Command(act) => written.command = Some(act),
            Act::Webhook(act) => written.webhook = Some(act),
            Act::Evict(act) => written.evict = Some(act),
            Act::KubeExec(act) => written.kube_exec = Some(act),
            Act::Rollout(act) => written.rollout = Some(act),
            Act::Touch(act) => written.touch = Some(act),
        }
        written
    }
}
