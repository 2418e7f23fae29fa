//! Reach `keyless`: what is stored, told by CertificateRequests alone; and what is on its way, in every reach. Pure.
//!
//! cert-manager sets a Certificate's `status.revision` only after it wrote the Secret. So the request of that revision
//! is what is stored, a higher one that is signed is on its way. The request of the current revision is deleted before
//! the next is signed (with the default history limit): what was stored is then remembered here, and after a restart by
//! the ledger.
use super::findings as kinds;
use crate::binding::cluster::Incoming;
use crate::cluster::ObjectName;
use crate::cluster::cert_manager::{Certificate, CertificateRequest};
use crate::source::Stored;
use crate::source::check::assess;
use crate::source::inventory::Inventory;
use crate::source::reading::Reading;
use certdrift_contract::UnixTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Certificates and their requests, by what binds them.
#[derive(Debug, Default)]
pub struct Issued<'a> {
    certificates: Vec<&'a Certificate>,
    /// By the UID of the Certificate that owns them.
    requests: BTreeMap<&'a str, Vec<&'a CertificateRequest>>,
}

impl<'a> Issued<'a> {
    /// From all of them, in any order.
    #[must_use]
    pub fn new(
        certificates: impl IntoIterator<Item = &'a Certificate>,
        requests: impl IntoIterator<Item = &'a CertificateRequest>,
    ) -> Self {
        let mut certificates: Vec<_> = certificates.into_iter().collect();
        // Of two that name one Secret the older comes first.
        certificates.sort_by(|a, b| a.metadata.age().cmp(&b.metadata.age()));
        let mut by_owner: BTreeMap<&str, Vec<&CertificateRequest>> = BTreeMap::new();
        for request in requests {
            let owner = request.metadata.owner_references.iter().find(|o| o.controller);
            if let Some(owner) = owner.filter(|o| &*o.kind == "Certificate") {
                by_owner.entry(&owner.uid).or_default().push(request);
            }
        }
        for requests in by_owner.values_mut() {
            requests.sort_by_key(|r| (r.revision(), r.metadata.age()));
        }
        Self { certificates, requests: by_owner }
    }

    /// The Certificates, the oldest first.
    pub fn certificates(&self) -> impl Iterator<Item = &'a Certificate> + '_ {
        self.certificates.iter().copied()
    }

    /// A Certificate's requests, by rising revision.
    #[must_use]
    pub fn requests(&self, certificate: &Certificate) -> &[&'a CertificateRequest] {
        self.requests.get(&*certificate.metadata.uid).map(Vec::as_slice).unwrap_or_default()
    }

    /// The signed certificate that is newer than what is stored, if there is one.
    #[must_use]
    pub fn on_its_way(&self, certificate: &Certificate) -> Option<&'a Arc<Reading>> {
        let newest = self.requests(certificate).last()?;
        let stored = certificate.status.revision.unwrap_or(0);
        if !newest.is_issued() || newest.revision()? <= stored {
            return None;
        }
        newest.status.certificate.0.as_ref()
    }

    /// What is on its way into each Secret.
    #[must_use]
    pub fn incoming(&self, now: UnixTime) -> Incoming {
        let mut all = Incoming::new();
        for certificate in self.certificates() {
            let good = self.on_its_way(certificate).and_then(|reading| assess(reading, None, now).good);
            if let Some(good) = good {
                all.entry(certificate.secret().to_string()).or_insert_with(|| vec![good]);
            }
        }
        all
    }
}

/// What is known to be stored, of each Certificate.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    stored: BTreeMap<Box<str>, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    revision: u64,
    reading: Arc<Reading>,
}

impl Memory {
    /// What the Secrets in `bound` hold; `complete` says that all Certificates and requests were seen.
    pub fn feed(
        &mut self,
        bound: &[ObjectName],
        issued: &Issued<'_>,
        complete: bool,
        now: UnixTime,
    ) -> Inventory {
        let mut out = Inventory { complete, ..Inventory::default() };
        let mut owners: BTreeMap<ObjectName, &Certificate> = BTreeMap::new();
        let mut uids = BTreeSet::new();
        for certificate in issued.certificates() {
            uids.insert(certificate.metadata.uid.clone());
            let secret = certificate.secret();
            match owners.get(&secret) {
                None => {
                    owners.insert(secret, certificate);
                }
                Some(first) if bound.binary_search(&secret).is_ok() => {
                    let object = format!("Certificate {}", certificate.metadata.object());
                    let why = format!("Certificate {} names Secret {secret} too", first.metadata.object());
                    out.findings.push(kinds::SECRET_SHARED.on(object, why));
                }
                Some(_) => {}
            }
        }
        if complete {
            self.stored.retain(|uid, _| uids.contains(uid));
        }
        for secret in bound {
            let source = secret.to_string();
            let Some(certificate) = owners.get(secret) else {
                if complete {
                    let why = "no Certificate has it as spec.secretName";
                    out.findings.push(kinds::UNSEEN.on(source.clone(), why));
                }
                // Nothing says that it has changed.
                out.held.insert(source);
                continue;
            };
            match self.current(certificate, issued) {
                Some(reading) => {
                    let assessed = assess(reading, None, now);
                    wake(&mut out.changes_at, assessed.changes_at);
                    for fault in &assessed.faults {
                        out.findings.push(fault.kind.on(source.clone(), fault.why.clone()));
                    }
                    // It is stored: what was good when it was taken stays expected when it expires.
                    match reading.certificate.clone().filter(|_| reading.faults.iter().all(|f| !f.refuses)) {
                        Some(good) => {
                            out.stored.push(Stored { source: source.into(), certificates: vec![good] });
                        }
                        None => {
                            out.held.insert(source);
                        }
                    }
                }
                None => {
                    out.held.insert(source);
                }
            }
        }
        out
    }

    /// What is stored of a Certificate, as far as it was ever seen.
    fn current(&mut self, certificate: &Certificate, issued: &Issued<'_>) -> Option<&Arc<Reading>> {
        let uid = &certificate.metadata.uid;
        let revision = certificate.status.revision?;
        let signed = issued
            .requests(certificate)
            .iter()
            .rev()
            .find(|r| r.revision() == Some(revision) && r.is_issued());
        if let Some(reading) = signed.and_then(|r| r.status.certificate.0.as_ref()) {
            self.stored.insert(uid.clone(), Known { revision, reading: Arc::clone(reading) });
        }
        // One of an older revision is not what is stored.
        self.stored.get(uid).filter(|known| known.revision == revision).map(|known| &known.reading)
    }
}

fn wake(at: &mut Option<UnixTime>, candidate: Option<UnixTime>) {
    if let Some(candidate) = candidate {
        *at = Some(at.map_or(candidate, |at| at.min(candidate)));
    }
}
