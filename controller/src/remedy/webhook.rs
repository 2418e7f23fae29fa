//! Sends one POST with the facts as JSON; whoever receives it acts.
use super::config::Webhook;
use crate::converge::Intent;
use crate::observe::http::{Bounds, Client, Request, Url};
use ring::hmac;
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// The body: the intent as the history has it, with a schema.
#[derive(Serialize)]
struct Body<'a> {
    schema: &'static str,
    #[serde(flatten)]
    intent: &'a Intent,
}

/// So many bytes of the answer are read.
const ANSWER: usize = 64 << 10;

/// Sends it. Gives the status that was answered.
///
/// # Errors
/// In words: a token cannot be read, nobody answers in time, or the status is not 2xx.
pub(super) async fn post(webhook: &Webhook, intent: &Intent, client: &Client) -> Result<String, String> {
    let url: Url = webhook.url.parse().map_err(|e| format!("webhook.url: {e}"))?;
    // What follows the host may be a secret: chats' hooks have theirs there.
    let shown = origin(&webhook.url);
    let body =
        serde_json::to_vec(&Body { schema: "certdrift.dev/remedy/v1", intent }).map_err(|e| e.to_string())?;
    let signature = match &webhook.hmac {
        Some(from) => Some(sign(from.read()?.text(), &body)),
        None => None,
    };
    // The receiver tells a repetition by it.
    let mut request =
        Request::post_json(url, body).header("idempotency-key", &intent.key()).map_err(|e| e.to_string())?;
    if let Some(from) = &webhook.token {
        let value = format!("Bearer {}", from.read()?.text());
        request = request.header("authorization", &value).map_err(|e| e.to_string())?;
    }
    if let Some(signature) = signature {
        request = request.header("x-certdrift-signature", &signature).map_err(|e| e.to_string())?;
    }
    let bounds = Bounds { timeout: Duration::from_millis(intent.timeout_ms), body: ANSWER };
    let answer = client.send(request, bounds).await.map_err(|e| format!("{shown}: {e}"))?;
    let text = String::from_utf8_lossy(answer.body.get(..answer.body.len().min(512)).unwrap_or_default())
        .into_owned();
    let said = format!("{shown} answered {}: {text}", answer.status);
    if (200..300).contains(&answer.status) { Ok(said) } else { Err(said) }
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let from = url.find("://").map_or(0, |at| at + 3);
    let to = url.get(from..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |at| from + at);
    url.get(..to).unwrap_or_default()
}

/// `sha256=` and the HMAC-SHA256 of the body, in hex: the form that receivers of webhooks know.
fn sign(key: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body);
    tag.as_ref().iter().fold(String::from("sha256="), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_rfc_4231() {
        // Test case 2.
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
