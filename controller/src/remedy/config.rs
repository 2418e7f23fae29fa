//! Remedies as configuration writes them.
use crate::config::TokenFrom;
use crate::converge::period::Period;
use crate::diagnose::Cause;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One remedy: when it is for, what it does, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
#[schemars(with = "Written")]
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
        }
    }

    /// Whether it can mend nothing but the endpoint whose drift is the reason.
    #[must_use]
    pub const fn acts_on_one_endpoint(&self) -> bool {
        matches!(self, Self::Evict(_))
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

/// A remedy; exactly one of `signal`, `command`, `webhook` and `evict` says what is done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Remedy")]
struct Written {
    /// What history and status call it; unique within the list.
    name: String,
    /// The causes it is for; every cause that can be mended when absent, of `evict` only `pod-behind`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
    /// The endpoint it acts on; the whole gateway when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// Whether it restarts something: then maintenance windows, other rollouts, a single replica and disruption budgets hold it back. `evict` does, whatever is said.
    #[serde(default)]
    restarts: bool,
    /// How long it may take; it is ended then, and counts as failed.
    #[serde(default = "default_timeout")]
    timeout: Period,
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
}

const fn default_timeout() -> Period {
    Period::seconds(30)
}

impl TryFrom<Written> for Remedy {
    type Error = String;
    fn try_from(w: Written) -> Result<Self, String> {
        let act = match (w.signal, w.command, w.webhook, w.evict) {
            (Some(signal), None, None, None) => Act::Signal(signal),
            (None, Some(command), None, None) => Act::Command(command),
            (None, None, Some(webhook), None) => Act::Webhook(webhook),
            (None, None, None, Some(evict)) => Act::Evict(evict),
            _ => {
                let why = "needs exactly one of signal, command, webhook and evict";
                return Err(format!("remedy {:?} {why}", w.name));
            }
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
            Act::Webhook(h) if !h.url.starts_with("http://") && !h.url.starts_with("https://") => {
                return wrong("webhook.url begins with http:// or https://");
            }
            _ => {}
        }
        Ok(Self {
            name: w.name,
            causes: w.causes,
            endpoint: w.endpoint,
            restarts: w.restarts || matches!(act, Act::Evict(_)),
            timeout: w.timeout,
            act,
        })
    }
}

impl From<Remedy> for Written {
    fn from(r: Remedy) -> Self {
        let (mut signal, mut command, mut webhook, mut evict) = (None, None, None, None);
        match r.act {
            Act::Signal(act) => signal = Some(act),
            Act::Command(act) => command = Some(act),
            Act::Webhook(act) => webhook = Some(act),
            Act::Evict(act) => evict = Some(act),
        }
        Self {
            name: r.name,
            causes: r.causes,
            endpoint: r.endpoint,
            restarts: r.restarts,
            timeout: r.timeout,
            signal,
            command,
            webhook,
            evict,
        }
    }
}

impl Remedy {
    /// What it costs whom, said before it is done.
    #[must_use]
    pub const fn price(&self) -> &'static str {
        match &self.act {
            Act::Evict(_) => "one pod goes: its connections end, and another takes its place",
            _ if self.restarts => "a restart: connections of what is restarted end",
            Act::Signal(_) => {
                "a reload: idle keep-alive connections are closed, and a busy client may lose one request"
            }
            Act::Command(_) => "what the configured command costs",
            Act::Webhook(_) => "what the receiver of the webhook does",
        }
    }

    /// Whether it is for this cause on this endpoint.
    #[must_use]
    pub fn is_for(&self, endpoint: &str, cause: Cause) -> bool {
        cause.mendable()
            && match (self.causes.as_slice(), &self.act) {
                // Another pod mends nothing that is not this pod's own.
                ([], Act::Evict(_)) => cause == Cause::PodBehind,
                ([], _) => true,
                (named, _) => named.contains(&cause),
            }
            && self.endpoint.as_deref().is_none_or(|mine| mine == endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_is_written_as_it_is_read() {
        let text = r#"{"name":"reload","restarts":false,"timeout":"30s","signal":{"pid_file":"/run/nginx.pid","process":"nginx","signal":"HUP"}}"#;
        let remedy: Remedy = serde_json::from_str(text).expect("a remedy");
        assert_eq!(serde_json::to_string(&remedy).expect("JSON"), text);
    }

    #[test]
    fn a_remedy_does_exactly_one_thing() {
        for (text, names) in [
            (r#"{"name": "a"}"#, "exactly one"),
            (r#"{"name": "a", "signal": {"pid": 1}, "command": {"argv": ["true"]}}"#, "exactly one"),
            (r#"{"name": "a", "signal": {}}"#, "either pid_file or pid"),
            (r#"{"name": "a", "command": {"argv": []}}"#, "needs a program"),
            (r#"{"name": "a", "webhook": {"url": "ftp://x"}}"#, "http://"),
            (r#"{"name": "", "command": {"argv": ["true"]}}"#, "name is empty"),
            (r#"{"name": "a", "command": {"argv": ["true"]}, "shell": true}"#, "shell"),
        ] {
            let error = serde_json::from_str::<Remedy>(text).expect_err(text).to_string();
            assert!(error.contains(names), "{text}: {error}");
        }
    }

    #[test]
    fn no_remedy_is_for_a_cause_that_is_not_the_gateways() {
        let remedy: Remedy =
            serde_json::from_str(r#"{"name": "a", "command": {"argv": ["true"]}}"#).expect("a remedy");
        for cause in Cause::ALL {
            assert_eq!(remedy.is_for("a", cause), cause.mendable());
        }
    }
}
