//! Kinds that the server does not know yet: when it knows others than before, those who wait for one look again.
//!
//! A kind that is missing is nothing wrong, and nobody says when it comes: a watch of definitions would want a permission
//! for it. So as long as any kind is missing, and only then, the server's list of all kinds is asked for, by the name of the
//! version that was seen last (`If-None-Match`): an answer without a body, whatever the number of kinds.
use super::watch::drive::brief;
use crate::clock;
use http::header::{ACCEPT, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use kube::client::Body;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(30);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// All kinds in one document (Kubernetes 1.27 and later); a server that does not know it answers without an ETag.
const DISCOVERY: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// Those who wait for a kind; cheap to clone.
#[derive(Clone, Debug)]
pub struct Missing {
    waiting: watch::Sender<usize>,
    news: watch::Sender<u64>,
}

/// Waits for a kind until it is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

/// What a look has told.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    /// Nothing, or nothing new.
    Same,
    /// The version of the list, another than before.
    Other(HeaderValue),
}

impl Default for Missing {
    fn default() -> Self {
        Self { waiting: watch::Sender::new(0), news: watch::Sender::new(0) }
    }
}

impl Missing {
    /// Waits until the server may know the kind, at most so long.
    pub async fn wait(&self, longest: Duration) {
        self.waiting.send_modify(|n| *n = n.saturating_add(1));
        let _waiting = Waiting(&self.waiting);
        let mut news = self.news.subscribe();
        let _ = clock::timeout(longest, news.changed()).await;
    }

    /// Looks for news while somebody waits; to be spawned.
    pub async fn look(self, client: kube::Client) {
        let mut waiting = self.waiting.subscribe();
        let mut known: Option<HeaderValue> = None;
        // A kind is listed a moment before it is served, and may have come just before the first look: whoever has waited
        // comes once more after that.
        let mut again = false;
        while waiting.wait_for(|n| *n > 0).await.is_ok() {
            let (news, other) = match looked(&client, known.as_ref()).await {
                Looked::Other(version) => (known.replace(version).is_some(), true),
                Looked::Same => (false, false),
            };
            if news || again {
                self.news.send_modify(|n| *n = n.wrapping_add(1));
            }
            again = other;
            clock::sleep(EVERY).await;
        }
    }
}

async fn looked(client: &kube::Client, known: Option<&HeaderValue>) -> Looked {
    let mut request = http::Request::get("/apis").header(ACCEPT, DISCOVERY);
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, known);
    }
    let Ok(request) = request.body(Body::empty()) else { return Looked::Same };
    match clock::timeout(PATIENCE, client.send(request)).await {
        // The body is not read: who waits asks for what it wants.
        Ok(Ok(answer)) if answer.status() == StatusCode::OK => match answer.headers().get(ETAG) {
            Some(version) if Some(version) != known => Looked::Other(version.clone()),
            _ => Looked::Same,
        },
        Ok(Err(error)) => {
            tracing::debug!(why = brief(&error), "the list of kinds cannot be had");
            Looked::Same
        }
        Ok(Ok(_)) | Err(_) => Looked::Same,
    }
}
