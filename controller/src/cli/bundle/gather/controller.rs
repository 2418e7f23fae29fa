//! What the running controller answers: status, history, metrics, ledgers; by its address, or forwarded to its pod as kubectl does.
use super::super::piece::{Missing, Piece};
use crate::cli::output::{View, json};
use crate::cli::{history, ledger, status};
use crate::cluster::{ObjectName, forward};
use crate::config::{Config, DEFAULT_ADDRESS};
use crate::observe::http::{Answer, Bounds, Client, Request, Url, UrlError};
use crate::observe::tls;
use crate::run::state::{SCHEMA, State};
use std::time::Duration;

/// 10,000 hosts on a few endpoints are some megabytes.
const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(10), body: 256 << 20 };

/// How the controller is reached.
pub(super) enum Way<'a> {
    /// By its address.
    Url(String),
    /// Through the API server, to this port of a pod; whether that speaks TLS.
    Pod { client: &'a kube::Client, pod: ObjectName, port: u16, tls: bool },
}

impl<'a> Way<'a> {
    /// The address, if it answers; else the pod, if there is one.
    pub(super) async fn find(
        url: &str,
        forward: Option<(&'a kube::Client, ObjectName)>,
        config: Option<&Config>,
    ) -> Self {
        let way = Self::Url(url.trim_end_matches('/').to_owned());
        let Some((client, pod)) = forward else { return way };
        if way.get("/livez").await.is_ok() {
            return way;
        }
        let port = config.map_or(DEFAULT_ADDRESS.port(), |config| config.listen.address.port());
        let tls = config.is_some_and(|config| config.listen.tls.is_some());
        Self::Pod { client, pod, port, tls }
    }

    fn name(&self, path: &str) -> String {
        match self {
            Self::Url(base) => format!("{base}{path}"),
            Self::Pod { pod, port, .. } => format!("pod {pod}, port {port}, {path}"),
        }
    }

    /// The body of an answer of 200, as text.
    async fn get(&self, path: &str) -> Result<String, String> {
        let answer = match self {
            Self::Url(base) => {
                let url: Url =
                    format!("{base}{path}").parse().map_err(|e: UrlError| format!("{base}: {e}"))?;
                let client = Client::new(tls::any());
                client.send(Request::get(url), BOUNDS).await.map_err(|e| e.to_string())?
            }
            Self::Pod { client, pod, port, tls } => {
                let forwarded = forwarded(client, pod, *port, *tls, path);
                crate::clock::timeout(BOUNDS.timeout, forwarded)
                    .await
                    .unwrap_or_else(|_| Err(format!("no answer in {:?}", BOUNDS.timeout)))?
            }
        };
        if answer.status != 200 {
            return Err(format!("{path} is answered with {}", answer.status));
        }
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }
}

async fn forwarded(
    client: &kube::Client,
    pod: &ObjectName,
    port: u16,
    tls: bool,
    path: &str,
) -> Result<Answer, String> {
    // It answers its own machine, which is where a forwarded connection begins.
    let scheme = if tls { "https" } else { "http" };
    let url: Url =
        format!("{scheme}://127.0.0.1:{port}{path}").parse().map_err(|e: UrlError| e.to_string())?;
    forward::get(client, pod, &url, BOUNDS.body).await
}

/// Its pieces. Ledgers are those of the gateways that it says it has, or else those of the configuration.
pub(super) async fn pieces(way: &Way<'_>, config: Option<&Config>) -> Vec<Piece> {
    let from = way.name("/debug/state");
    let state = way.get("/debug/state").await.and_then(|text| read(&text));
    let mut pieces = Vec::new();
    let configured = || config.map(|c| c.gateways.iter().map(|g| g.name.clone()).collect::<Vec<_>>());
    let gateways = match &state {
        Ok(state) => Some(state.gateways.iter().map(|gateway| gateway.name.clone()).collect()),
        Err(_) => configured(),
    };
    let (shown, acts) = match state {
        Ok(state) => {
            let records = state.gateways.iter().flat_map(|gateway| gateway.history.clone()).collect();
            (text(&status::all(state)), text(&history::all(records)))
        }
        Err(why) => (Err(why.clone()), Err(why)),
    };
    pieces.push(Piece::tried("status.json", from.clone(), shown));
    pieces.push(Piece::tried("history.json", from, acts));
    pieces.push(Piece::tried("metrics.txt", way.name("/metrics"), way.get("/metrics").await));
    let Some(gateways) = gateways else {
        let why = Missing::Failed("which gateways there are is not known".to_owned());
        pieces.push(Piece::new("ledgers", "the controller", Err(why)));
        return pieces;
    };
    for gateway in gateways {
        pieces.extend(ledgers(way, &gateway, config).await);
    }
    pieces
}

fn text<V: View>(view: &V) -> Result<String, String> {
    json(view).map_err(|e| e.to_string())
}

fn read(text: &str) -> Result<State, String> {
    let state: State = serde_json::from_str(text).map_err(|e| format!("no controller's answer: {e}"))?;
    match state.schema.as_str() {
        SCHEMA => Ok(state),
        other => Err(format!("no controller's answer: its schema is {other:?}")),
    }
}

/// A gateway's ledger with its parts; where the controller does not answer, the file that it wrote.
async fn ledgers(way: &Way<'_>, gateway: &str, config: Option<&Config>) -> Vec<Piece> {
    let path = format!("/ledger/{gateway}");
    let name = format!("ledgers/{gateway}.json");
    let (index, from) = match (way.get(&path).await, file(gateway, config)) {
        (Err(why), Some(file)) => match std::fs::read_to_string(&file) {
            Ok(text) => (Ok(text), file.display().to_string()),
            Err(other) => (Err(format!("{why}; {}: {other}", file.display())), way.name(&path)),
        },
        (answer, _) => (answer, way.name(&path)),
    };
    let parts = index.as_ref().map(|text| ledger::parts(text.as_bytes())).unwrap_or_default();
    let mut pieces = vec![Piece::tried(name, from, index)];
    for part in parts {
        let path = format!("{path}/{part}");
        let name = format!("ledgers/{gateway}-{part}.json");
        pieces.push(Piece::tried(name, way.name(&path), way.get(&path).await));
    }
    pieces
}

fn file(gateway: &str, config: Option<&Config>) -> Option<std::path::PathBuf> {
    let config = config?;
    config.ledger_file(config.gateways.iter().find(|own| own.name == gateway)?)
}
