//! The controller's HTTP side: probes, metrics, ledgers, state.
//!
//! | path | who may | answer |
//! |---|---|---|
//! | `/livez`, `/readyz` | anybody | 200 or 503, a word and why |
//! | `/metrics` | loopback, token or client certificate; anybody with `listen.open_metrics` | Prometheus' text |
//! | `/ledger/GATEWAY`, `/ledger/GATEWAY/PART` | loopback, token or client certificate | the ledger, with ETag |
//! | `/debug/state`, `/log-level` | loopback | what is known; the level, `PUT` sets it |
//!
//! A stranger learns nothing but that something listens: what he may not see does not exist (404).
pub mod access;
pub mod findings;
pub mod listen;
mod seats;
pub mod tls;

use crate::config::LogLevel;
use crate::log::Level;
use crate::metrics::Format;
use access::Visitor;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::sync::Arc;

/// What the server answers with; asked at each request.
pub trait Answers: Send + Sync + 'static {
    /// Whether the loops turn.
    ///
    /// # Errors
    /// Which does not, in words.
    fn alive(&self) -> Result<(), String>;

    /// Whether every gateway had its first complete ledger.
    ///
    /// # Errors
    /// Which had not, in words.
    fn ready(&self) -> Result<(), String>;

    /// The page of metrics.
    fn metrics(&self, format: Format) -> String;

    /// All that is known, as JSON.
    fn state(&self) -> String;

    /// A gateway's ledger or one of its parts: its bytes and its ETag.
    fn ledger(&self, gateway: &str, part: Option<&str>) -> Option<(Arc<[u8]>, String)>;
}

/// What handlers share.
#[derive(Clone)]
pub struct Shared {
    /// Answers.
    pub answers: Arc<dyn Answers>,
    /// The level of the log.
    pub level: Level,
    /// `listen.open_metrics`
    pub open_metrics: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("level", &self.level).finish_non_exhaustive()
    }
}

/// A longer request body is refused; the only one there is holds a word.
const LONGEST_BODY: usize = 1024;

/// The routes.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/ledger/{gateway}", get(ledger))
        .route("/ledger/{gateway}/{part}", get(part))
        .route("/debug/state", get(state))
        .route("/log-level", get(log_level).put(set_log_level))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

/// Lets a request through, or answers as if there were nothing.
async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let visitor = request.extensions().get::<Visitor>().cloned().unwrap_or(Visitor::STRANGER);
    let path = request.uri().path();
    let may = match path {
        "/livez" | "/readyz" => true,
        "/metrics" => shared.open_metrics || visitor.trusted(request.headers()),
        "/debug/state" | "/log-level" => visitor.local(request.headers()),
        _ if path.starts_with("/ledger/") => visitor.trusted(request.headers()),
        _ => false,
    };
    let mut response =
        if may { next.run(request).await } else { (StatusCode::NOT_FOUND, "not found\n").into_response() };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn word(outcome: Result<(), String>) -> Response {
    match outcome {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn livez(State(shared): State<Shared>) -> Response {
    word(shared.answers.alive())
}

async fn readyz(State(shared): State<Shared>) -> Response {
    word(shared.answers.ready())
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    ([(CONTENT_TYPE, format.content_type())], shared.answers.metrics(format)).into_response()
}

async fn state(State(shared): State<Shared>) -> Response {
    ([(CONTENT_TYPE, "application/json")], shared.answers.state()).into_response()
}

async fn ledger(State(shared): State<Shared>, Path(gateway): Path<String>, headers: HeaderMap) -> Response {
    document(shared.answers.ledger(&gateway, None), &headers)
}

async fn part(
    State(shared): State<Shared>,
    Path((gateway, part)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    document(shared.answers.ledger(&gateway, Some(&part)), &headers)
}

fn document(found: Option<(Arc<[u8]>, String)>, headers: &HeaderMap) -> Response {
    let Some((bytes, etag)) = found else {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    };
    let asked = headers.get(IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let same = asked.split(',').map(|t| t.trim().trim_start_matches("W/")).any(|t| t == "*" || t == etag);
    if same {
        return (StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response();
    }
    let body = Body::from(Bytes::from_owner(bytes));
    ([(CONTENT_TYPE, "application/json".to_owned()), (ETAG, etag)], body).into_response()
}

async fn log_level(State(shared): State<Shared>) -> Response {
    format!("{}\n", shared.level.get().as_str()).into_response()
}

async fn set_log_level(State(shared): State<Shared>, body: Bytes) -> Response {
    use clap::ValueEnum as _;
    let asked = std::str::from_utf8(&body).unwrap_or_default().trim();
    match LogLevel::from_str(asked, true) {
        Ok(level) => {
            shared.level.set(level);
            tracing::info!(level = level.as_str(), "log level changed");
            format!("{}\n", level.as_str()).into_response()
        }
        Err(_) => (StatusCode::BAD_REQUEST, "one of error, warn, info, debug, trace\n").into_response(),
    }
}

#[cfg(test)]
mod tests;
