//! A stand-in for Kong's ingress controller (KIC), which is in no registry: for the demo, and to make in a cluster the
//! faults that KIC was seen to have. It behaves as measured with KIC 3.5.13 and Kong 3.9.1 (the numbers and texts are from
//! there) and shares no code with certdrift's own model of KIC's rules.
//!
//! Every 3 s it lists Ingresses and TLS Secrets, translates them ([`translate`]) and pushes what has changed to all gateway
//! pods ([`pass`]). It tells what it did by Events on the objects and on its own pod, and by KIC's push metrics on
//! `/metrics`. `PUT /faults` switches faults on and off ([`fault::Faults`], as JSON; what is not named is off).
//!
//! Left out: Gateway API, services and routes, plugins (one invalid one is a fault), leader election, TLS to the admin
//! port, watching (it lists), two Secrets with one certificate becoming one entity.
#![forbid(unsafe_code)]

mod event;
mod fault;
mod gateway;
mod metrics;
mod pass;
mod translate;

use anyhow::{Context as _, Result};
use axum::Json;
use axum::routing::get;
use fault::Shared;
use std::sync::Arc;
use std::time::Duration;

/// KIC's: `--proxy-sync-seconds`.
const LOOP: Duration = Duration::from_secs(3);
/// KIC's.
const METRICS_PORT: u16 = 10255;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let settings = pass::Settings {
        class: std::env::var("KIC_CLASS").unwrap_or_else(|_| "kong".to_owned()),
        gateways: variable("KIC_GATEWAYS")?,
        namespace: variable("POD_NAMESPACE")?,
        pod: variable("POD_NAME")?,
        watched: std::env::var("KIC_NAMESPACE").ok().filter(|name| !name.is_empty()),
    };
    let shared = Arc::new(Shared::default());
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", METRICS_PORT)).await.context("port 10255")?;
    tokio::spawn(axum::serve(listener, routes(&shared)).into_future());
    let client = kube::Client::try_default().await?;
    let mut controller = pass::Controller::new(client, settings, shared);
    let mut ticks = tokio::time::interval(LOOP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = controller.pass().await {
            println!("error: {error:#}");
        }
    }
}

fn routes(shared: &Arc<Shared>) -> axum::Router {
    let (asked, told, put) = (Arc::clone(shared), Arc::clone(shared), Arc::clone(shared));
    axum::Router::new()
        .route("/readyz", get(async || "ok"))
        .route("/metrics", get(async move || told.metrics().text()))
        .route(
            "/faults",
            get(async move || Json(asked.faults().clone())).put(
                async move |Json(faults): Json<fault::Faults>| {
                    println!("faults: {faults:?}");
                    *put.faults() = faults.clone();
                    Json(faults)
                },
            ),
        )
}
