//! What status shows, in each form it can be asked for. Pure.
use super::hops::{Grade, Hops, grade, hops};
use crate::cli::Exit;
use crate::cli::output::{Marks, View};
use crate::converge::Mode;
use crate::diagnose::Cause;
use crate::run::state::{Gateway, Host, Seen, State};
use certdrift_contract::UnixTime;
use serde::Serialize;
use std::io::{self, Write};

/// What is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    version: String,
    pub(super) now: UnixTime,
    verdict: &'static str,
    /// What keeps a state without any drift from being good: hosts and gateways that were asked for and are not there.
    pub(super) missing: Vec<String>,
    pub(super) gateways: Vec<GatewayShown>,
}

#[derive(Debug, Serialize)]
pub(super) struct GatewayShown {
    pub(super) hops: Vec<Hops>,
    #[serde(flatten)]
    pub(super) gateway: Gateway,
}

impl Shown {
    pub(super) fn new(state: State, gateway: Option<&str>, hosts: &[String]) -> Self {
        let known: Vec<String> = state.gateways.iter().map(|g| g.name.clone()).collect();
        let gateways: Vec<GatewayShown> = state
            .gateways
            .into_iter()
            .filter(|g| gateway.is_none_or(|name| g.name == name))
            .map(|mut g| {
                g.hosts.retain(|h| hosts.is_empty() || hosts.contains(&h.host));
                let hops = g.hosts.iter().map(|h| hops(&g, h)).collect();
                GatewayShown { hops, gateway: g }
            })
            .collect();
        let missing = missing(&gateways, &known, gateway, hosts);
        let mut shown = Self { version: state.version, now: state.now, verdict: "", missing, gateways };
        shown.verdict = match shown.exit() {
            Exit::Good => "match",
            Exit::Drift => "drift",
            Exit::Unknown | Exit::Usage | Exit::Interrupted => "unknown",
        };
        shown
    }

    pub(super) fn exit(&self) -> Exit {
        let mut exit =
            if self.missing.is_empty() && self.rows().next().is_some() { Exit::Good } else { Exit::Unknown };
        for (gateway, host) in self.rows() {
            exit = exit.worse(match grade(gateway, host) {
                Grade::Good => Exit::Good,
                Grade::Unknown => Exit::Unknown,
                Grade::Stored | Grade::Issued | Grade::NotStored | Grade::Drift => Exit::Drift,
            });
        }
        exit
    }

    /// What `--wait` tells while it waits: without counters, which would be news every second.
    pub(super) fn news(&self) -> String {
        match self.exit() {
            Exit::Drift => "drift".to_owned(),
            _ if self.missing.is_empty() => "not every endpoint has told yet".to_owned(),
            _ => self.missing.join("; "),
        }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (&Gateway, &Host)> {
        self.gateways.iter().flat_map(|g| g.gateway.hosts.iter().map(move |h| (&g.gateway, h)))
    }
}

/// What was asked for and is not there, in words; one host that is well must not speak for another that nobody knows.
fn missing(shown: &[GatewayShown], known: &[String], gateway: Option<&str>, hosts: &[String]) -> Vec<String> {
    if let (Some(name), true) = (gateway, shown.is_empty()) {
        return vec![format!("no gateway is called {name}; there are: {}", known.join(", "))];
    }
    let listed = |host: &&String| shown.iter().any(|g| g.gateway.hosts.iter().any(|h| h.host == **host));
    let mut missing: Vec<String> =
        hosts.iter().filter(|h| !listed(h)).map(|h| format!("no ledger lists {h}")).collect();
    if hosts.is_empty() {
        let without = shown.iter().filter(|g| g.gateway.ledger.is_none());
        missing.extend(without.map(|g| format!("{} has no ledger yet", g.gateway.name)));
    }
    missing
}

impl View for Shown {
    const SCHEMA: &'static str = "certdrift.dev/status/v1";

    fn human(&self, to: &mut dyn Write, wide: bool, marks: Marks) -> io::Result<()> {
        self.headline(to)?;
        self.gateways.iter().try_for_each(|g| self.gateway(g, to, wide, marks))?;
        // A cause that no remedy mends says itself what does.
        let mendable = |seen: &Seen| seen.drifts() && seen.cause().is_none_or(Cause::mendable);
        let waiting = self.rows().any(|(g, h)| g.mode == Mode::Observe && h.seen.iter().any(mendable));
        if waiting {
            writeln!(
                to,
                "\nTo mend it: reload the gateway, or let certdrift do it with `policy: {{mode: heal}}` and a remedy."
            )?;
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.rows().map(|(gateway, host)| format!("{}/{}", gateway.name, host.host)).collect()
    }

    fn short(&self) -> Vec<String> {
        let missing = self.missing.iter().map(|why| format!("unknown {why}"));
        let rows = self.rows().filter(|(gateway, host)| grade(gateway, host) != Grade::Good).map(
            |(gateway, host)| {
                let word = match grade(gateway, host) {
                    Grade::Drift => "drift",
                    Grade::NotStored => "not-stored",
                    Grade::Issued => "not-issued",
                    Grade::Stored => "invalid",
                    _ => "unknown",
                };
                format!("{word} {}/{} {}", gateway.name, host.host, self.detail(gateway, host, false))
            },
        );
        rows.chain(missing).collect()
    }
}
