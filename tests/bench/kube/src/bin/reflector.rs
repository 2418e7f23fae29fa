//! The plain way: a reflector that keeps all TLS Secrets, as a first program with kube-rs does.
#![forbid(unsafe_code)]

use anyhow::Result;
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::runtime::reflector;
use kube::runtime::watcher::{Config, Event, watcher};
use std::pin::pin;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let secrets: Api<Secret> = Api::all(kube::Client::try_default().await?);
    let (store, writer) = reflector::store();
    let config = Config::default().fields("type=kubernetes.io/tls");
    let mut events = pin!(reflector(writer, watcher(secrets, config)));
    while let Some(event) = events.try_next().await? {
        match event {
            Event::InitDone => println!("complete {}", store.state().len()),
            Event::Apply(secret) => println!("changed {}", secret.metadata.name.unwrap_or_default()),
            Event::Init | Event::InitApply(_) | Event::Delete(_) => {}
        }
    }
    Ok(())
}
