//! The rim: asks everybody for their piece. Nothing is written anywhere, and what gives no answer is its reason.
mod cluster;
mod controller;

use super::piece::{Missing, Piece};
use super::settings;
use crate::cli::doctor::facts::Facts;
use crate::cli::doctor::look::Where;
use crate::config::Config;
use controller::Way;

/// What is to be asked.
pub(super) struct Asked {
    /// Base URL of the controller.
    pub(super) url: String,
    /// Whether that was typed, so that no other way is tried.
    pub(super) only_url: bool,
    /// The configuration, where a file has it.
    pub(super) config: Option<Config>,
    /// A way to the cluster, or why there is none.
    pub(super) cluster: Result<kube::Client, Missing>,
    /// certdrift's own namespace.
    pub(super) namespace: Option<String>,
    /// So many lines of each log.
    pub(super) lines: u32,
}

/// What was found: the pieces, and the values of tokens that must not show in them.
pub(super) struct Found {
    pub(super) pieces: Vec<Piece>,
    pub(super) tokens: Vec<String>,
}

/// Asks for all of it.
pub(super) async fn gather(asked: Asked) -> Found {
    let mut pieces = vec![version()];
    let at = Where { namespace: asked.namespace, deployment: None, config: asked.config.clone() };
    let (facts, cluster) = match asked.cluster {
        Ok(client) => {
            let (facts, doctor) = cluster::examine(&client, at).await;
            pieces.push(doctor);
            (Some(facts), Ok(client))
        }
        Err(why) => (None, Err(why)),
    };
    let config = asked.config.or_else(|| facts.as_ref().and_then(|facts| facts.here.config.clone()));
    pieces.push(configuration(config.as_ref(), facts.as_ref()));
    let pods = match (&cluster, &facts) {
        (Ok(client), Some(facts)) => cluster::pods(client, facts).await,
        _ => Ok(Vec::new()),
    };
    let forward = match (&cluster, &pods) {
        (Ok(client), Ok(pods)) if !asked.only_url => {
            pods.iter().find(|pod| pod.is_ready()).map(|pod| (client, pod.metadata.object()))
        }
        _ => None,
    };
    let way = Way::find(&asked.url, forward, config.as_ref()).await;
    pieces.extend(controller::pieces(&way, config.as_ref()).await);
    match (&cluster, &facts) {
        (Ok(client), Some(facts)) => pieces.extend(cluster::pieces(client, facts, &pods, asked.lines).await),
        (Err(why), _) => {
            pieces.extend(cluster::NAMES.map(|name| Piece::new(name, "the cluster", Err(why.clone()))));
        }
        _ => {}
    }
    Found { pieces, tokens: config.as_ref().map(settings::tokens).unwrap_or_default() }
}

fn version() -> Piece {
    let text = serde_json::json!({"certdrift": env!("CARGO_PKG_VERSION"), "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH});
    Piece::tried("version.json", "this program", Ok(format!("{text:#}\n")))
}

fn configuration(config: Option<&Config>, facts: Option<&Facts>) -> Piece {
    let found = config.map(settings::shown).unwrap_or_else(|| {
        let unread = facts.and_then(|facts| facts.here.unread.clone());
        Err(unread.unwrap_or_else(|| "no configuration was found; name it with --config".to_owned()))
    });
    Piece::tried("configuration.yaml", "the configuration", found)
}
