//! The API server itself: its version, its clock, and the kinds of a group.
use super::call::{Call, Refusal};
use super::watch::drive::{brief, whole};
use crate::clock;
use crate::converge::Millis;
use certdrift_contract::UnixTime;
use kube::client::Body;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A version is some hundred bytes.
const MOST: usize = 64 << 10;

/// What it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `v1.37.2`
    pub version: String,
    /// By its `Date` header, to the second; none where a proxy leaves it out.
    pub date: Option<UnixTime>,
    /// When it was asked, and when it had answered, by our clock.
    pub asked: (Millis, Millis),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

/// Asks for version and time.
///
/// # Errors
/// In words: it does not answer, or not as an API server does.
pub async fn look(client: &kube::Client) -> Result<Server, String> {
    let request = http::Request::get("/version").body(Body::empty()).map_err(|e| e.to_string())?;
    let answer = async {
        let asked = clock::now();
        let response = client.send(request).await.map_err(|e| brief(&e))?;
        let answered = clock::now();
        let (head, body) = response.into_parts();
        let bytes = whole(body, MOST).await?;
        if !head.status.is_success() {
            return Err(format!("GET /version: status {}", head.status.as_u16()));
        }
        let version: Version = serde_json::from_slice(&bytes)
            .map_err(|e| format!("GET /version: no API server's answer: {e}"))?;
        let date = head.headers.get(http::header::DATE).and_then(|v| v.to_str().ok()).and_then(date);
        Ok(Server { version: version.git_version, date, asked: (asked, answered) })
    };
    clock::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")))
}

/// A time as HTTP writes it: `Wed, 25 Nov 2026 16:53:08 GMT` (RFC 9110, section 5.6.7).
fn date(text: &str) -> Option<UnixTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|m| *m == month)?.checked_add(1)?;
    UnixTime::parse(format!("{year}-{month:02}-{day:0>2}T{time}Z").as_bytes()).ok()
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
}

/// The plurals that a group has in this version; empty where the server does not know it.
///
/// # Errors
/// The server does not say.
pub async fn kinds(client: &kube::Client, group: &str, version: &str) -> Result<BTreeSet<String>, String> {
    match Call::get(format!("/apis/{group}/{version}")).send::<Resources>(client, PATIENCE).await {
        Ok(all) => Ok(all.resources.into_iter().map(|r| r.name).collect()),
        Err(Refusal::Absent(_)) => Ok(BTreeSet::new()),
        Err(refusal) => Err(refusal.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_is_read_to_the_second() {
        assert_eq!(date("Wed, 25 Nov 2026 16:53:08 GMT").unwrap().to_string(), "2026-11-25T16:53:08Z");
        assert_eq!(date("Wed, 5 Nov 2026 16:53:08 GMT").unwrap().to_string(), "2026-11-05T16:53:08Z");
        assert_eq!(date("yesterday"), None);
    }
}
