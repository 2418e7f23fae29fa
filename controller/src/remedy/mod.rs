//! What makes a gateway serve what is expected: a signal, a command, a webhook, another pod.
//!
//! [`crate::converge`] decides, this folder acts. The state, and with it the intent, is on disk before the act
//! ([`state_file`]); what was done, why, and what came of it is written to the history ([`history`]). An act says
//! whether it did what it was asked to do; whether that helped is for the wire to say.
pub mod config;
pub mod history;
pub mod state_file;

mod command;
mod evict;
mod signal;
mod webhook;

use crate::converge::Intent;
use crate::observe::http::Client;
use config::Act;
pub use evict::Pod;

/// What an act says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// It did what it was asked to do.
    pub ok: bool,
    /// What it said, or why it could not; at most some thousand characters, none of them a control character but line feeds.
    pub said: String,
}

/// Does what was decided. Ends within the intent's timeout; when the future is dropped before, what it started is ended.
/// `client` verifies the webhook's receiver against the system's authorities; `pod` is that of the intent's endpoint,
/// where it has one.
///
/// # Errors
/// Nothing was done, and it may be asked for again later: why not, in words.
pub async fn perform(
    act: &Act,
    intent: &Intent,
    client: &Client,
    pod: Option<&Pod>,
) -> Result<Outcome, String> {
    let result = match act {
        Act::Evict(_) => match pod {
            Some(pod) => evict::evict(pod).await?,
            None => Err("the endpoint is no pod".to_owned()),
        },
        Act::Signal(signal) => signal::send(signal),
        Act::Command(command) => command::run(command, intent).await,
        Act::Webhook(webhook) => webhook::post(webhook, intent, client).await,
    };
    Ok(match result {
        Ok(said) => Outcome { ok: true, said: printable(&said) },
        Err(said) => Outcome { ok: false, said: printable(&said) },
    })
}

/// Foreign text for history and terminals: bounded, and without control characters.
fn printable(text: &str) -> String {
    let safe = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.trim_end().chars().take(4_096).map(safe).collect()
}

#[cfg(test)]
mod tests;
