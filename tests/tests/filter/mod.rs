//! A worker with the shipped filter and a ledger that a test can change: what the tests of the filter share.
#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)] // Each test file uses its part.
use certdrift_tests::host::{Answer, Call, Profile, Response, START, Wasm, Worker};
use std::cell::RefCell;
use std::rc::Rc;

/// The time of the first poll.
pub const NOW: u64 = START + 1;

/// A worker with the filter, and what its ledger's location answers.
pub struct Gateway {
    pub worker: Worker,
    pub kind: &'static str,
    served: Rc<RefCell<String>>,
}

/// The configuration most tests use.
pub fn config(more: &str) -> String {
    let location = r#"{"upstream": "127.0.0.1:8787", "path": "/ledger.json"}"#;
    format!(r#"{{"ledger": {{"poll_interval_seconds": 1, "locations": [{location}]}}{more}}}"#)
}

/// A fingerprint made of one byte.
pub fn print(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

/// Seconds since 1970 as the ledger writes them.
pub fn time(seconds: u64) -> String {
    certdrift_contract::UnixTime::from_seconds(seconds.try_into().unwrap()).to_string()
}

/// A certificate that is expected.
pub fn expected(n: u8) -> String {
    format!(r#"{{"sha256": "{}", "not_after": "2027-02-21T00:00:00Z"}}"#, print(n))
}

/// An entry of a ledger.
pub fn entry(source: &str, hosts: &[&str], current: &[u8], incoming: &[u8], retiring: &[&str]) -> String {
    let hosts = hosts.iter().map(|h| format!("\"{h}\"")).collect::<Vec<_>>().join(", ");
    let list = |prints: &[u8]| prints.iter().map(|n| expected(*n)).collect::<Vec<_>>().join(", ");
    format!(
        r#"{{"source": "{source}", "hosts": [{hosts}], "since": "2026-11-23T00:00:00Z", "current": [{}], "incoming": [{}], "retiring": [{}]}}"#,
        list(current),
        list(incoming),
        retiring.join(", ")
    )
}

/// A ledger.
pub fn ledger(revision: u64, entries: &[&str]) -> String {
    ledger_of(revision, &format!(r#""entries": [{}]"#, entries.join(", ")))
}

/// A ledger with a default entry.
pub fn ledger_with_default(revision: u64, entries: &[&str], default: &str) -> String {
    ledger_of(revision, &format!(r#""entries": [{}], "default": {default}"#, entries.join(", ")))
}

/// A ledger with this content.
pub fn ledger_of(revision: u64, content: &str) -> String {
    format!(
        r#"{{"schema": "certdrift.dev/ledger/v1", "gateway": "kong", "match": "kong", "revision": {revision}, "published_at": "2026-11-24T00:00:00Z", {content}}}"#
    )
}

/// Answers with a document, by ETag.
pub fn document(call: &Call, body: &str) -> Answer {
    let etag = format!("\"{:x}\"", body.bytes().fold(5381u64, |h, b| h.wrapping_mul(33) ^ u64::from(b)));
    if call.header("if-none-match") == etag { Answer::not_modified() } else { Answer::document(body, &etag) }
}

impl Gateway {
    /// A worker that has the ledger.
    pub fn with(profile: &'static Profile, ledger: &str) -> Self {
        Self::configured(profile, ledger, &config(""))
    }

    /// A worker with another configuration, after its first tick.
    pub fn configured(profile: &'static Profile, ledger: &str, config: &str) -> Self {
        let mut worker = Worker::new(profile, &Wasm::certdrift());
        let served = Rc::new(RefCell::new(ledger.to_owned()));
        let answers = Rc::clone(&served);
        worker.answer(move |call| match answers.borrow().as_str() {
            "" => Answer::refused(),
            body => document(call, body),
        });
        worker.root(config);
        worker.tick();
        Self { worker, kind: profile.name, served }
    }

    /// Changes what the location answers; empty: it is dead.
    pub fn ledger(&mut self, ledger: &str) {
        ledger.clone_into(&mut self.served.borrow_mut());
    }

    /// How this kind of gateway knows what it serves.
    pub fn evidence(&self) -> &'static str {
        if self.kind == "envoy" { "declared" } else { "filter" }
    }

    /// A request of a client that was served print `n` for `sni` on a connection that began then.
    pub fn serve(&mut self, sni: &str, n: u8, began: u64) -> Response {
        if self.kind == "envoy" {
            let sni = if sni == "-" { "" } else { sni };
            let request = self
                .worker
                .request()
                .property(["metadata", "filter_metadata", "certdrift", "sha256"], print(n));
            return request.property(["connection", "requested_server_name"], sni).send();
        }
        self.worker.request().tap(&format!("v1 full {began} {} {sni}", print(n))).send()
    }

    /// A health request from the machine itself.
    pub fn health(&mut self, path: &str) -> Response {
        let response = self.worker.request().path(&format!("/certdrift/{path}")).send();
        assert!(response.from_filter, "{response:?}");
        response
    }

    /// The report.
    pub fn report(&mut self, query: &str) -> serde_json::Value {
        let response = self.health(&format!("report{query}"));
        assert_eq!(response.status, 200);
        serde_json::from_slice(&response.body).expect("a report is JSON")
    }
}
