//! Answers a request for health: `livez`, `readyz`, `healthz`, `report`.
use super::kind::find_out;
use super::{Action, Worker};
use crate::clock::{SECOND, passed, seconds};
use crate::config::HostKind;
use crate::health::{self, Hosts, Route};
use crate::host::{Host, Map};
use crate::state::{Condition, condition, observations};
use certdrift_contract::names::REPORT_SCHEMA;
use certdrift_contract::report::{LedgerInUse, Report};

impl Worker {
    /// Answers a health request of a client that may see it.
    pub(super) fn health(&mut self, host: &impl Host, root: u32, route: Route) -> Action {
        let now = self.clock.ask(host);
        let method = host.header(Map::Request, ":method").ok().flatten().unwrap_or_default();
        let mut headers = health::HEADERS.to_vec();
        let (code, body) = if method != b"GET" && method != b"HEAD" {
            headers.push(("allow", "GET, HEAD"));
            (405, r#"{"error":"method not allowed"}"#.to_owned())
        } else {
            self.answer_health(host, root, route, now)
        };
        let body = if method == b"HEAD" { "" } else { &body };
        match host.respond(code, &headers, body.as_bytes()) {
            Ok(()) => Action::Pause,
            Err(_) => Action::Continue,
        }
    }

    fn answer_health(
        &mut self,
        host: &impl Host,
        root: u32,
        route: Route,
        now: Option<u64>,
    ) -> (u32, String) {
        let condition = self.condition(root, now);
        let told =
            |key: &str, value: &str| format!(r#"{{"{key}":{value},"verdict":"{}"}}"#, condition.as_str());
        match route {
            Route::Livez => (200, r#"{"live":true}"#.to_owned()),
            Route::Readyz => {
                let patience = self.roots.get(root).map_or(0, |root| root.config.ready_after);
                let waited = passed(self.started, now, patience.saturating_mul(SECOND));
                let ready = self.poller.ledger.is_some() || waited;
                if ready { (200, told("ready", "true")) } else { (503, told("ready", "false")) }
            }
            Route::Healthz => {
                let healthy = condition.code() == 200;
                (condition.code(), told("healthy", if healthy { "true" } else { "false" }))
            }
            Route::Report(hosts) => (200, self.report(host, root, &hosts, now, condition).to_json()),
            Route::Unknown => {
                (404, r#"{"error":"not found","paths":["livez","readyz","healthz","report"]}"#.to_owned())
            }
        }
    }

    fn condition(&self, root: u32, now: Option<u64>) -> Condition {
        let wrong = |id: &u32| self.roots.get(*id).is_none_or(|root| !root.error.is_empty());
        condition(wrong(&root) || wrong(&self.newest), &self.poller, &self.windows, now)
    }

    fn report(
        &mut self,
        host: &impl Host,
        root: u32,
        hosts: &Hosts,
        now: Option<u64>,
        condition: Condition,
    ) -> Report {
        if self.pid.is_empty() && self.kind != Some(HostKind::Envoy) {
            self.kind = self.kind.or(find_out(host, &mut self.pid));
        }
        let started = self.started.unwrap_or(0);
        let mut ids = vec![root, self.newest];
        ids.dedup();
        let mut problems = Vec::new();
        for root in ids.iter().filter_map(|id| self.roots.get(*id)) {
            if !root.error.is_empty() {
                problems.push(format!("the configuration is wrong, the filter is passive: {}", root.error));
            }
            problems.extend(root.config.unknown.iter().cloned());
        }
        if !self.tap_error.is_empty() {
            problems.push(format!("the certificate's property cannot be read: {}", self.tap_error));
        }
        let ledger = self.poller.ledger.as_ref().map(|ledger| LedgerInUse {
            gateway: ledger.gateway().to_owned(),
            revision: ledger.revision().0,
            age_seconds: self.poller.age(now).unwrap_or(0),
            hosts: u64::try_from(ledger.hosts()).unwrap_or(u64::MAX),
            location: self.poller.location.clone(),
            last_error: self.poller.last_error.clone(),
        });
        if ledger.is_none() && !self.poller.last_error.is_empty() {
            problems.push(format!("no ledger: {}", self.poller.last_error));
        }
        Report {
            schema: REPORT_SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            worker: certdrift_contract::report::Worker {
                id: if self.pid.is_empty() { format!("w{started:x}") } else { self.pid.clone() },
                started: seconds(started).seconds(),
            },
            ledger,
            verdict: condition.as_str().to_owned(),
            problems,
            counters: self.metrics.sums(),
            observations: observations(&mut self.poller, hosts, &self.windows, seconds(now.unwrap_or(0))),
        }
    }
}
