//! Every version that a ledger's ConfigMap ever had, from a watch of our own.
use crate::api::Api;
use crate::renewals::take;
use certdrift_contract::Fingerprint;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions {
    /// How many.
    pub(crate) seen: usize,
    /// Of the newest.
    pub(crate) revision: u64,
    /// What the newest expects, by host.
    pub(crate) current: BTreeMap<String, Fingerprint>,
    /// What must not be.
    pub(crate) wrong: Vec<String>,
}

/// Follows one ConfigMap for as long as the process lives.
#[derive(Clone, Default)]
pub(crate) struct Follower {
    shared: Arc<(Mutex<Versions>, Condvar)>,
}

impl Follower {
    pub(crate) fn versions(&self) -> MutexGuard<'_, Versions> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the newest version expects, once it is another than `seen`; none when that is not before the deadline.
    pub(crate) fn after(&self, seen: &mut usize, deadline: Instant) -> Option<BTreeMap<String, Fingerprint>> {
        let mut versions = self.versions();
        while versions.seen == *seen {
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.shared.1.wait_timeout(versions, left);
            versions = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *seen = versions.seen;
        Some(versions.current.clone())
    }

    fn heard(&self, line: &[u8], version: &mut String) {
        let Ok(event) = serde_json::from_slice::<Value>(line) else { return };
        if let Some(now) = event["object"]["metadata"]["resourceVersion"].as_str() {
            now.clone_into(version);
        }
        if let ("ADDED" | "MODIFIED", Some(text)) =
            (event["type"].as_str().unwrap_or_default(), event["object"]["data"]["ledger.json"].as_str())
        {
            take(&mut self.versions(), text);
            self.shared.1.notify_all();
        }
    }
}

impl Api {
    /// Follows the ledger of the gateway that is named as its namespace is.
    pub(crate) fn follow(&self, n: &str) -> Follower {
        let follower = Follower::default();
        let (ours, client) = (follower.clone(), self.client.clone());
        let path = format!(
            "/api/v1/namespaces/{n}/configmaps?watch=1&fieldSelector=metadata.name%3Dcertdrift-ledger-{n}"
        );
        self.runtime.spawn(async move {
            let mut version = String::from("0");
            loop {
                let request =
                    http::Request::get(format!("{path}&resourceVersion={version}")).body(Body::empty());
                let Ok(request) = request else { return };
                let Ok(response) = client.send(request).await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let mut body = response.into_body();
                let mut buffer: Vec<u8> = Vec::new();
                while let Some(Ok(frame)) = body.frame().await {
                    let Ok(data) = frame.into_data() else { continue };
                    buffer.extend_from_slice(&data);
                    while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                        let line: Vec<u8> = buffer.drain(..=end).collect();
                        ours.heard(&line, &mut version);
                    }
                }
            }
        });
        follower
    }
}
