//! What the API server wrote down of every request: who, what, which object, and how it was answered.
use crate::cluster::Cluster;
use crate::control_plane::AUDIT_LOG;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// A place in the API server's notes: everything after it is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// A request, as the API server wrote it down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// `ResponseComplete`; of a watch also `ResponseStarted`, when it begins.
    pub stage: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// get, list, watch, create, update, patch, delete …
    pub verb: String,
    user: User,
    impersonated_user: Option<User>,
    /// The program, in its own words.
    #[serde(default)]
    pub user_agent: String,
    /// Of which object or objects; none where the path is no resource's.
    #[serde(rename = "objectRef", default)]
    pub object: Object,
    #[serde(rename = "responseStatus", default)]
    status: Status,
    /// What was written, of a Lease; of anything else no body is noted.
    #[serde(rename = "requestObject", default)]
    pub body: serde_json::Value,
    /// RFC 3339, microseconds.
    pub request_received_timestamp: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct User {
    /// Empty of somebody whom the API server does not know.
    #[serde(default)]
    username: String,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Object {
    /// `secrets`.
    pub resource: String,
    /// `status`, say; empty when the object itself.
    pub subresource: String,
    /// Empty of what is the cluster's, and of all namespaces.
    pub namespace: String,
    /// Empty of a list.
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl Request {
    /// Who asked, or who they asked to be taken for; an account is `system:serviceaccount:NAMESPACE:NAME`.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.impersonated_user.as_ref().unwrap_or(&self.user).username
    }

    /// HTTP status of the answer.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.status.code
    }
}

impl Cluster {
    /// Where the notes end now.
    ///
    /// # Errors
    /// There are none.
    pub fn audit_mark(&self) -> Result<Mark> {
        Ok(Mark(std::fs::metadata(self.place().at(AUDIT_LOG)).context("the audit log")?.len()))
    }

    /// The requests noted since `mark`, oldest first. The line of a request is written while it is answered: after a long
    /// answer (a list of many) it may come a moment later than the answer.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not as the API server writes it.
    pub fn audit_since(&self, mark: Mark) -> Result<Vec<Request>> {
        let mut file = File::open(self.place().at(AUDIT_LOG)).context("the audit log")?;
        file.seek(SeekFrom::Start(mark.0))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // The last line may be half written.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line).with_context(|| String::from_utf8_lossy(line).into_owned())
            })
            .collect()
    }
}
