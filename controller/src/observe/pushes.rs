//! Reads what a pod of an ingress controller counts of its pushes, again and again.
use super::http::{Bounds, Client, Request, Url};
use super::watch::Seen;
use crate::clock;
use crate::loaded::metrics::{self, Page};
use std::time::Duration;
use tokio::sync::mpsc;

/// The most of a page.
const MOST_OF_A_PAGE: usize = 8 << 20;

/// Reads until nobody listens. `url` is `http://ADDRESS:PORT/metrics`.
pub async fn follow(endpoint: String, url: Url, every: Duration, timeout: Duration, out: mpsc::Sender<Seen>) {
    let mut ticks = clock::ticks(every);
    loop {
        ticks.tick().await;
        let page = read(&url, timeout).await;
        if out.send(Seen::Pushes { endpoint: endpoint.clone(), page }).await.is_err() {
            return;
        }
    }
}

async fn read(url: &Url, timeout: Duration) -> Result<Page, String> {
    let bounds = Bounds { timeout, body: MOST_OF_A_PAGE };
    let answer = Client::new(super::tls::any()).send(Request::get(url.clone()), bounds).await;
    match answer {
        Ok(answer) if answer.status == 200 => Ok(metrics::read(&String::from_utf8_lossy(&answer.body))),
        Ok(answer) => Err(format!("{url} answers with status {}", answer.status)),
        Err(e) => Err(format!("{url}: {e}")),
    }
}
