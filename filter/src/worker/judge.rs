//! Judges the connection a request came on, and keeps what its response will say.
use super::kind::may_see_health;
use super::{Request, Worker};
use crate::config::{Certificate, HeaderOn, HeaderTo, HostKind};
use crate::host::{Host, Level};
use crate::observe::{self, Unjudged};

use certdrift_contract::header::Header;
use certdrift_contract::{Evidence, Verdict};

impl Worker {
    /// Judges a request's connection. One that cannot be judged is not counted for a health request: probes are no traffic.
    pub(super) fn judge(&mut self, host: &impl Host, context: u32, id: u32, health: bool) {
        let Some(root) = self.roots.get_mut(id) else { return };
        if !root.error.is_empty() {
            return;
        }
        if root.certificate.is_none() {
            root.certificate = match (&root.config.certificate, root.config.host, self.kind) {
                (Some(certificate), ..) => Some(certificate.clone()),
                (_, HostKind::Envoy, _) | (_, HostKind::Auto, Some(HostKind::Envoy)) => {
                    Some(Certificate::envoy())
                }
                (_, HostKind::Kong, _) | (_, HostKind::Auto, Some(_)) => Some(Certificate::kong()),
                (_, HostKind::Auto, None) => None,
            };
        }
        let Some(certificate) = &root.certificate else {
            if !health {
                self.metrics.unjudged(Unjudged::Unknown);
            }
            return;
        };
        let told = observe::ask(host, certificate);
        let served = match told.read() {
            Ok(served) => served,
            Err((why, error)) => {
                if !health {
                    self.metrics.unjudged(why);
                }
                if let Some(error) = error
                    && self.tap_error != error.as_str()
                {
                    self.tap_error = error.as_str();
                    host.log(
                        Level::Warn,
                        &format!("certdrift: the certificate's property cannot be read: {error}"),
                    );
                }
                let evidence = match told {
                    observe::Told::Declared(..) => Evidence::Declared,
                    _ => Evidence::Filter,
                };
                let header = Header { verdict: Verdict::Unobserved, served: None, expected: None, evidence };
                self.promise(host, context, id, &header);
                return;
            }
        };
        self.tap_error = "";
        let (served_print, evidence) = (served.fingerprint, served.evidence);
        let Some(ledger) = &mut self.poller.ledger else {
            if !health {
                self.metrics.unjudged(Unjudged::NoLedger);
            }
            let header = Header {
                verdict: Verdict::Unobserved,
                served: Some(&served_print),
                expected: None,
                evidence,
            };
            self.promise(host, context, id, &header);
            return;
        };
        let judged =
            observe::observe(ledger, &served, host, &mut self.clock, &self.windows, self.poller.epoch);
        match judged.verdict {
            Verdict::Unlisted => self.metrics.unlisted(),
            Verdict::Drift(class) => {
                self.metrics.judged();
                self.metrics.drift(class);
            }
            _ => self.metrics.judged(),
        }
        if let Some((turn, listed)) = &judged.turn {
            self.lines.turn(host, *turn, listed, &judged, &served_print, self.clock.last());
        }
        let (verdict, expected) = (judged.verdict, judged.expected.as_ref());
        self.promise(host, context, id, &Header { verdict, served: Some(&served_print), expected, evidence });
    }

    /// Keeps the header for the response, where one is due.
    fn promise(&mut self, host: &impl Host, context: u32, root: u32, header: &Header<'_>) {
        let Some(config) = self.roots.get(root).map(|root| &root.config) else { return };
        let due = match config.header {
            HeaderOn::Never => false,
            HeaderOn::Drift => !header.verdict.healthy(),
            HeaderOn::Always => true,
        };
        if due && (config.header_to == HeaderTo::All || may_see_health(host, config, self.kind)) {
            let header = Some(header.to_string());
            self.requests.put(context, Request { root, header });
        }
    }
}
