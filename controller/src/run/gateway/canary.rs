//! The gateway's canary: whether its certificate is to be asked for, how far it has come, and what is wrong with it.
use super::{Effect, Gateway};
use crate::cluster::ObjectName;
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use crate::converge::Millis;
use crate::finding::Finding;
use crate::metrics::catalogue as metric;
use crate::publish::difference::entries;
use crate::rehearse::begin::Told;
use crate::rehearse::canary::{Known, News, Terms, Wait};
use crate::rehearse::findings::{CANARY_FAILED, CANARY_NOT_ROTATED};
use crate::rehearse::way::Seen;
use crate::run::{show, state};

/// What keeps it from being asked for is told once it has lasted so many milliseconds: objects come one after the other.
const SETTLES: i64 = 15_000;

const FAILED: &str = "canary";
const NOT_ROTATED: &str = "canary, not rotated";

impl Gateway {
    /// Looks at the canary; whenever something may have changed, and once a second.
    pub(super) fn tend_canary(&mut self, now: Millis) -> Vec<Effect> {
        let Some(config) = self.config.canary.clone() else { return Vec::new() };
        // The configuration was checked.
        let Some(name) = ObjectName::parse(&config.certificate) else { return Vec::new() };
        if !self.hub.is_ready(&self.config.name) {
            return Vec::new();
        }
        let found = self.canary_known(&name);
        let known = known(found.as_ref());
        self.canary.hears(known, now);
        let terms = Terms::from(&config);
        if let Some((certificate, requests)) = found.as_ref().filter(|_| self.canary.is_under_way()) {
            let shown = show::of_source(self, &certificate.secret().to_string(), now.seconds());
            let seen = Seen {
                certificate: Some(certificate.clone()),
                requests: requests.clone(),
                gateways: Some(vec![shown]),
            };
            if let Some(news) = self.canary.looks(&seen, terms, now) {
                self.tell_canary(&name, &news);
            }
        }
        let bound = known.certificate.is_some_and(|certificate| self.lists(&config.host, certificate));
        match self.canary.may_ask(known, self.leads, bound, terms, now) {
            Ok(()) => {
                self.canary_waits(None, now);
                self.canary.asks();
                let told = Told { any_issuer: config.any_issuer, any_time: true };
                vec![Effect::Rotate(name, told)]
            }
            Err(wait) => {
                let about = format!("Certificate {name}");
                let trouble = match wait {
                    Wait::NoCertificate => {
                        Some(CANARY_NOT_ROTATED.on(about, "it is not there, or not within reach"))
                    }
                    Wait::NotBound => {
                        let why = format!("the ledger does not list {} from its Secret", config.host);
                        Some(CANARY_NOT_ROTATED.on(about, why))
                    }
                    Wait::Refused(why, mend) => Some(Finding { mend, ..CANARY_NOT_ROTATED.on(about, why) }),
                    Wait::Following | Wait::UnderWay | Wait::NotDue(_) => None,
                };
                self.canary_waits(trouble, now);
                Vec::new()
            }
        }
    }

    /// It was asked for, or why not.
    pub fn rotated(&mut self, result: Result<Millis, (String, String)>, now: Millis) -> Vec<Effect> {
        self.canary.was_asked(result, now);
        self.tend_canary(now)
    }

    /// As `certdrift status` tells it.
    pub(in crate::run) fn canary_state(&self) -> Option<state::Canary> {
        let config = self.config.canary.as_ref()?;
        let found = ObjectName::parse(&config.certificate).and_then(|name| self.canary_known(&name));
        let terms = Terms::from(config);
        Some(state::Canary {
            host: config.host.clone(),
            certificate: config.certificate.clone(),
            every: terms.every,
            worked: self.canary.last().map(|last| last.at),
            took: self.canary.last().and_then(|last| last.took),
            waits_for: self.canary.waits_for().map(|(hop, _)| hop),
            failed: self.canary.failed().map(|failed| failed.hop),
            next: self.canary.due(known(found.as_ref()), terms),
        })
    }

    fn canary_known(&self, name: &ObjectName) -> Option<(Certificate, Vec<CertificateRequest>)> {
        self.cluster()?.watches.certificate(name)
    }

    /// Whether the ledger lists this host from this Certificate's Secret.
    fn lists(&self, host: &str, certificate: &Certificate) -> bool {
        let source = certificate.secret().to_string();
        let all = self.publisher.ledger().map(|ledger| entries(ledger)).unwrap_or_default();
        let entry = all.binary_search_by(|entry| entry.source.as_str().cmp(&source)).ok();
        let hosts = entry.and_then(|n| all.get(n)).map(|entry| &entry.hosts);
        hosts.is_some_and(|hosts| hosts.iter().any(|listed| listed.as_str() == host))
    }

    fn tell_canary(&mut self, name: &ObjectName, news: &News) {
        let gateway = self.config.name.clone();
        match news {
            News::Worked(success) => {
                self.own.remove(FAILED);
                tracing::info!(gateway, certificate = %name, took_ms = success.took, "the canary's certificate is proven on every endpoint");
            }
            News::Failed(failure) => {
                if self.leads {
                    let labels = [gateway.as_str(), failure.hop.as_str()];
                    self.hub.store().add(&metric::CANARY_FAILURES, &labels, 1);
                }
                let why = match &failure.why {
                    Some(why) => format!("asked for at {}; {why}", failure.asked.seconds()),
                    None => format!(
                        "asked for at {}, it is not {}",
                        failure.asked.seconds(),
                        failure.hop.as_str()
                    ),
                };
                self.hold(FAILED, CANARY_FAILED.on(format!("Certificate {name}"), why));
            }
        }
    }

    /// Something keeps it from being asked for, or nothing does.
    fn canary_waits(&mut self, trouble: Option<Finding>, now: Millis) {
        let Some(finding) = trouble else {
            self.canary_troubled = None;
            self.own.remove(NOT_ROTATED);
            return;
        };
        let since = *self.canary_troubled.get_or_insert(now);
        if now.since(since) >= SETTLES {
            self.hold(NOT_ROTATED, finding);
        }
    }
}

fn known(found: Option<&(Certificate, Vec<CertificateRequest>)>) -> Known<'_> {
    Known {
        certificate: found.map(|(certificate, _)| certificate),
        requests: found.map(|(_, requests)| requests.as_slice()).unwrap_or_default(),
    }
}
