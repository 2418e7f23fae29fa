//! Remedies: when each is for, what it does, what it costs.
mod written;

use crate::config::TokenFrom;
use crate::converge::Workload;
use crate::converge::period::Period;
use crate::diagnose::Cause;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One remedy: when it is for, what it does, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "written::Written", into = "written::Written")]
#[schemars(with = "written::Written")]
pub struct Remedy {
    /// What history and status call it; unique within the list.
    pub name: String,
    /// The causes it is for; every cause that can be mended when empty.
    pub causes: Vec<Cause>,
    /// The endpoint it acts on; the whole gateway when absent.
    pub endpoint: Option<String>,
    /// Whether it restarts something.
    pub restarts: bool,
    /// How long it may take.
    pub timeout: Period,
    /// What is done.
    pub act: Act,
}

/// What a remedy does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Sends a signal to a process.
    Signal(Signal),
    /// Runs a program.
    Command(Command),
    /// Tells somebody else to act.
    Webhook(Webhook),
    /// Has the pod of the endpoint replaced.
    Evict(Evict),
    /// Runs a program in the pod of the endpoint.
    KubeExec(KubeExec),
    /// Has all pods of the workload replaced, as its strategy says.
    Rollout(Rollout),
    /// Has the ingress controller push its configuration anew.
    Touch(Touch),
}

impl Act {
    /// As history and metrics show it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Signal(_) => "signal",
            Self::Command(_) => "command",
            Self::Webhook(_) => "webhook",
            Self::Evict(_) => "evict",
            Self::KubeExec(_) => "kube-exec",
            Self::Rollout(_) => "rollout",
            Self::Touch(_) => "touch",
        }
    }

    /// Whether it can mend nothing but the endpoint whose drift is the reason.
    #[must_use]
    pub const fn acts_on_one_endpoint(&self, workload: &Workload) -> bool {
        match self {
            Self::Evict(_) | Self::KubeExec(_) => true,
            Self::Rollout(_) => workload.template_is_owned,
            Self::Signal(_) | Self::Command(_) | Self::Webhook(_) | Self::Touch(_) => false,
        }
    }

    /// Whether it restarts something, whatever the configuration says.
    #[must_use]
    pub const fn restarts(&self) -> bool {
        matches!(self, Self::Evict(_) | Self::Rollout(_))
    }

    /// Whether it acts on the pods of a gateway, so that it must have some.
    #[must_use]
    pub const fn needs_pods(&self) -> bool {
        matches!(self, Self::Evict(_) | Self::KubeExec(_) | Self::Rollout(_))
    }

    /// Whether it can mend this cause at all.
    #[must_use]
    pub const fn can_mend(&self, cause: Cause) -> bool {
        match self {
            // Pushes are made anew, and nothing else.
            Self::Touch(_) => matches!(cause, Cause::PodEmpty | Cause::NotPushed),
            // A pod that starts empty stays so until something is pushed; nothing that is done to pods pushes anything.
            Self::Evict(_) | Self::KubeExec(_) | Self::Rollout(_) | Self::Signal(_) => {
                cause.mendable() && !matches!(cause, Cause::PodEmpty | Cause::NotPushed)
            }
            Self::Command(_) | Self::Webhook(_) => cause.mendable(),
        }
    }

    /// Whether it is for this cause where the configuration names none.
    #[must_use]
    const fn is_usual_for(&self, cause: Cause) -> bool {
        self.can_mend(cause)
            && match self {
                // Another pod mends nothing that is not this pod's own.
                Self::Evict(_) => matches!(cause, Cause::PodBehind),
                // A pod that was pushed an older configuration keeps it over a reload.
                Self::KubeExec(_) => {
                    matches!(cause, Cause::StaleWorker | Cause::FileNotReloaded | Cause::Unexplained)
                }
                Self::Rollout(_) => matches!(cause, Cause::FileNotReloaded | Cause::NotReloadable),
                Self::Touch(_) => true,
                Self::Signal(_) | Self::Command(_) | Self::Webhook(_) => {
                    !matches!(cause, Cause::PodEmpty | Cause::NotPushed | Cause::NotReloadable)
                }
            }
    }
}

/// Sends a signal to the gateway's main process, on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// File that holds the process id. Either this or `pid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<PathBuf>,
    /// The process id itself. Either this or `pid_file`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Name the process must have (as `/proc/PID/comm` shows it, `nginx`), so that a reused process id is not signalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// Which signal.
    #[serde(default)]
    pub signal: SignalName,
}

/// A signal that asks a gateway to reload or to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum SignalName {
    /// Reload, for nginx and most others.
    #[default]
    Hup,
    /// What it means is the gateway's own affair.
    Usr1,
    /// What it means is the gateway's own affair.
    Usr2,
    /// End; for a gateway that a supervisor starts again. Say `restarts: true` with it.
    Term,
}

/// Runs a program, without a shell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program (an absolute path, or a name found in `PATH`) and its arguments, each as it is: no shell reads them.
    pub argv: Vec<String>,
    /// Further variables of its environment. It does not inherit ours but for `PATH`, `HOME`, `USER`, `LANG` and `TZ`; it gets `CERTDRIFT_GATEWAY`, `CERTDRIFT_ENDPOINT`, `CERTDRIFT_HOST`,
    /// `CERTDRIFT_CAUSE`, `CERTDRIFT_REMEDY`, `CERTDRIFT_INTENT`, `CERTDRIFT_SERVED`, `CERTDRIFT_EXPECTED`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// Sends one POST with the facts as JSON; any 2xx answer means it was taken on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where to, `http://` or `https://`.
    pub url: String,
    /// Sent as `authorization: Bearer …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenFrom>,
    /// Key of an HMAC-SHA256 over the body, sent as `x-certdrift-signature: sha256=…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<TokenFrom>,
}

/// Evicts the pod that the drift is on, so that its workload makes another. Disruption budgets are respected: the API server
/// refuses then, and it is asked again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evict {}

/// Runs a program in the pod that the drift is on, without a shell, by the API server: `kong reload`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubeExec {
    /// The program and its arguments, each as it is: no shell reads them.
    #[serde(default = "KubeExec::kong_reload")]
    pub argv: Vec<String>,
    /// Name of the container; the pod's default one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

impl KubeExec {
    fn kong_reload() -> Vec<String> {
        ["kong", "reload"].map(str::to_owned).into()
    }
}

/// Restarts the workload of the gateway's pods (Deployment, StatefulSet, DaemonSet) as `kubectl rollout restart` does, and waits
/// for the end of it. Where somebody else writes its template (Flux, Argo CD, an operator) that is not touched: pods are evicted one by one instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {}

/// Changes the annotation `konghq.com/tags` of the host's Secret, next to the tags that are there: Kong's ingress controller makes
/// another configuration of it, and pushes that to all pods. Needs the permission to patch Secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Touch {}

impl Remedy {
    /// What it costs whom, said before it is done.
    #[must_use]
    pub const fn price(&self) -> &'static str {
        match &self.act {
            Act::Evict(_) => "one pod goes: its connections end, and another takes its place",
            Act::Rollout(_) => {
                "all pods go, as many at a time as their workload's strategy says: their connections end"
            }
            Act::Touch(_) => "a push of the whole configuration to all pods; the host's Secret keeps the tag",
            _ if self.restarts => "a restart: connections of what is restarted end",
            Act::Signal(_) | Act::KubeExec(_) => {
                "a reload: idle keep-alive connections are closed, and a busy client may lose one request"
            }
            Act::Command(_) => "what the configured command costs",
            Act::Webhook(_) => "what the receiver of the webhook does",
        }
    }

    /// Whether it is for this cause on this endpoint.
    #[must_use]
    pub fn is_for(&self, endpoint: &str, cause: Cause) -> bool {
        let fits = match self.causes.as_slice() {
            [] => self.act.is_usual_for(cause),
            named => self.act.can_mend(cause) && named.contains(&cause),
        };
        fits && self.endpoint.as_deref().is_none_or(|mine| mine == endpoint)
    }
}

#[cfg(test)]
mod tests;
