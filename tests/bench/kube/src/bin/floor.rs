//! The floor: the least that following all TLS Secrets can cost with kube-rs. It streams them, hashes each certificate while it
//! is read, and keeps nothing.
#![forbid(unsafe_code)]

use anyhow::Result;
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta};
use kube::runtime::watcher::{Config, Event, watcher};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::pin::pin;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A Secret of which nothing is kept but the hash.
#[derive(Clone, Debug, serde::Deserialize)]
struct Hashed {
    metadata: ObjectMeta,
    #[serde(default, rename = "data")]
    hash: Hash,
}

#[derive(Clone, Debug, Default)]
struct Hash([u8; 32]);

impl<'de> serde::Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Data;
        impl<'de> Visitor<'de> for Data {
            type Value = Hash;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the data of a Secret")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Hash, A::Error> {
                let mut hash = Hash::default();
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    if key == "tls.crt" {
                        hash.0 = Sha256::digest(map.next_value::<Cow<'_, str>>()?.as_bytes()).into();
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(hash)
            }
        }
        deserializer.deserialize_map(Data)
    }
}

impl kube::Resource for Hashed {
    type DynamicType = ();
    type Scope = <Secret as kube::Resource>::Scope;

    fn kind(_: &()) -> Cow<'_, str> {
        Secret::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        Secret::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        Secret::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        Secret::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let secrets: Api<Hashed> = Api::all(kube::Client::try_default().await?);
    let config = Config::default().fields("type=kubernetes.io/tls").streaming_lists();
    let mut events = pin!(watcher(secrets, config));
    let (mut count, mut mix) = (0u64, 0u8);
    while let Some(event) = events.try_next().await? {
        match event {
            Event::InitApply(secret) => {
                count += 1;
                mix ^= secret.hash.0[0];
            }
            Event::InitDone => println!("complete {count} {mix}"),
            Event::Apply(secret) => {
                println!("changed {} {}", secret.metadata.name.unwrap_or_default(), secret.hash.0[0]);
            }
            Event::Init | Event::Delete(_) => {}
        }
    }
    Ok(())
}
