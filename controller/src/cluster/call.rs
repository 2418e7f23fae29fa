//! One request to the API server that is no watch: its answer, or why there is none.
use super::watch::drive::{brief, whole};
use crate::clock;
use http::Method;
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Who we are among those who write an object's fields (`fieldManager`).
pub const FIELD_MANAGER: &str = "certdrift";

/// An answer of more bytes is not read.
const MAX_ANSWER: usize = 32 << 20;

const JSON: &str = "application/json";

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is done.
    pub method: Method,
    /// Path and query.
    pub uri: String,
    /// `application/json`, or the form of a patch.
    pub content_type: &'static str,
    /// In which form the answer is wanted.
    pub accept: &'static str,
    /// JSON; empty when there is none.
    pub body: Vec<u8>,
}

/// Why a request was not granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401 or 403, in the server's words.
    #[error("{0}")]
    Forbidden(String),
    /// 404: the object or its namespace is not there, in the server's words.
    #[error("{0}")]
    Absent(String),
    /// 409: it was changed since the version that was named, or is there already.
    #[error("{0}")]
    Changed(String),
    /// 409: somebody else writes these fields.
    #[error("{message}")]
    Owned {
        /// In the server's words, which name the other.
        message: String,
    },
    /// 400, 413 or 422: it will not do in this form, however often it is asked.
    #[error("{0}")]
    Invalid(String),
    /// 429, with what it said of waiting.
    #[error("the API server is busy")]
    Busy(Option<Duration>),
    /// Any other answer, a broken connection, no answer in time. It may have been done all the same.
    #[error("{0}")]
    Broken(String),
}

/// A `Status`, as far as it is used.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    message: String,
    details: Details,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    causes: Vec<Cause>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
}

impl Call {
    /// Reads.
    #[must_use]
    pub fn get(uri: String) -> Self {
        Self { method: Method::GET, uri, content_type: JSON, accept: JSON, body: Vec::new() }
    }

    /// Writes with a body of JSON.
    #[must_use]
    pub fn json(method: Method, uri: String, body: &serde_json::Value) -> Self {
        Self { method, uri, content_type: JSON, accept: JSON, body: body.to_string().into_bytes() }
    }

    /// The answer is wanted in this form.
    #[must_use]
    pub fn accept(self, accept: &'static str) -> Self {
        Self { accept, ..self }
    }

    /// A merge patch.
    #[must_use]
    pub fn merge(uri: String, body: &serde_json::Value) -> Self {
        let content_type = "application/merge-patch+json";
        Self { content_type, ..Self::json(Method::PATCH, uri, body) }
    }

    /// A server-side apply as [`FIELD_MANAGER`]. With `force`, fields that somebody else writes become ours.
    #[must_use]
    pub fn apply(path: &str, force: bool, body: &serde_json::Value) -> Self {
        let force = if force { "&force=true" } else { "" };
        let uri = format!("{path}?fieldManager={FIELD_MANAGER}{force}");
        Self { content_type: "application/apply-patch+yaml", ..Self::json(Method::PATCH, uri, body) }
    }

    /// Asks, and reads the answer. It ends within `time`.
    ///
    /// # Errors
    /// The server refuses, or gives no answer.
    pub async fn send<T: DeserializeOwned>(
        self,
        client: &kube::Client,
        time: Duration,
    ) -> Result<T, Refusal> {
        let bytes = self.bytes(client, time).await?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Refusal::Broken(format!("an answer that cannot be read: {e}")))
    }

    /// Asks, and takes the answer as text, whatever is no UTF-8 in it replaced: a log. It ends within `time`.
    ///
    /// # Errors
    /// The server refuses, or gives no answer.
    pub async fn text(self, client: &kube::Client, time: Duration) -> Result<String, Refusal> {
        Ok(String::from_utf8_lossy(&self.bytes(client, time).await?).into_owned())
    }

    async fn bytes(self, client: &kube::Client, time: Duration) -> Result<Vec<u8>, Refusal> {
        let request = http::Request::builder()
            .method(self.method)
            .uri(self.uri)
            .header("accept", self.accept)
            .header("content-type", self.content_type)
            .body(Body::from(self.body))
            .map_err(|e| Refusal::Broken(e.to_string()))?;
        let answer = async {
            let response = client.send(request).await.map_err(|e| Refusal::Broken(brief(&e)))?;
            let (head, body) = response.into_parts();
            let bytes = whole(body, MAX_ANSWER).await.map_err(Refusal::Broken)?;
            if head.status.is_success() {
                return Ok(bytes);
            }
            let wait = head.headers.get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
            Err(refusal(head.status.as_u16(), &bytes, wait.map(Duration::from_secs)))
        };
        match clock::timeout(time, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Refusal::Broken(format!("no answer in {time:?}"))),
        }
    }
}

fn refusal(code: u16, body: &[u8], wait: Option<Duration>) -> Refusal {
    let Status { message, details } = serde_json::from_slice(body).unwrap_or_default();
    let message: String = match message.is_empty() {
        true => format!("status {code}"),
        false => message.chars().take(500).collect(),
    };
    match code {
        401 | 403 => Refusal::Forbidden(message),
        404 => Refusal::Absent(message),
        409 if details.causes.iter().any(|c| c.reason == "FieldManagerConflict") => {
            Refusal::Owned { message }
        }
        409 => Refusal::Changed(message),
        400 | 413 | 422 => Refusal::Invalid(message),
        429 => Refusal::Busy(wait),
        _ => Refusal::Broken(message),
    }
}

/// The verb that a refusal in the server's words names: `… cannot patch resource "configmaps" …`.
#[must_use]
pub fn refused_verb(message: &str) -> Option<&str> {
    message
        .split_once(" cannot ")
        .and_then(|(_, rest)| rest.split(' ').next())
        .filter(|verb| !verb.is_empty())
}

/// How long to wait after so many failures in a row: 1 s, doubled each time, at the longest `longest`.
#[must_use]
pub fn pause(failures: u32, longest: Duration) -> Duration {
    Duration::from_secs(1u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    // As kube-apiserver 1.37.2 says it.
    #[test]
    fn the_two_kinds_of_conflict_are_told_apart() {
        let owned = br#"{"kind": "Status", "message": "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.ledger.json",
            "reason": "Conflict", "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".data.ledger.json"}]}, "code": 409}"#;
        assert!(
            matches!(refusal(409, owned, None), Refusal::Owned { message } if message.contains("kubectl-edit"))
        );
        let changed = br#"{"message": "Operation cannot be fulfilled on configmaps \"a1\": the object has been modified", "details": {"name": "a1"}}"#;
        assert!(matches!(refusal(409, changed, None), Refusal::Changed(_)));
        assert_eq!(refusal(500, b"<html>", None), Refusal::Broken("status 500".into()));
    }

    #[test]
    fn the_verb_that_is_missing_is_read_from_the_servers_words() {
        let words = r#"configmaps "a1" is forbidden: User "low" cannot patch resource "configmaps" in API group "" in the namespace "default""#;
        assert_eq!(refused_verb(words), Some("patch"));
        assert_eq!(refused_verb("Unauthorized"), None);
    }

    #[test]
    fn waits_grow_to_their_bound() {
        let longest = Duration::from_secs(30);
        assert_eq!([1, 2, 3, 6, 99].map(|n| pause(n, longest).as_secs()), [1, 2, 4, 30, 30]);
    }
}
