//! A ConfigMap of a ledger: its name, what is read of it, and what is written.
use crate::cluster::ObjectName;
use crate::cluster::call::FIELD_MANAGER;
use crate::cluster::object::Text;
use crate::cluster::watch::wire::{Item, Reader, named};
use crate::publish::split::Document;
use certdrift_contract::{Fingerprint, Revision};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// The key of a ledger's, or a part's, document.
pub const KEY: &str = "ledger.json";
/// The label that says to which gateway's ledger a ConfigMap belongs.
pub const LABEL: &str = "certdrift.dev/gateway";
/// Bytes a ConfigMap can hold (kube-apiserver's `MaxSecretSize`, for both kinds).
pub const MOST_BYTES: usize = 1 << 20;

/// Where a gateway's ledger is: the namespace, and the names of its ConfigMaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of the gateway's pods, since a pod mounts ConfigMaps of its own namespace only.
    pub namespace: String,
    /// Name of the gateway.
    pub gateway: String,
}

impl Place {
    /// For a gateway; `None` for a name that ends like the name of a part (`kong-03`): its ledger's ConfigMap could be
    /// the part of another gateway's ledger.
    #[must_use]
    pub fn new(namespace: &str, gateway: &str) -> Option<Self> {
        let place = Self { namespace: namespace.into(), gateway: gateway.into() };
        gateway.rsplit_once('-').is_none_or(|(_, end)| !is_number(end)).then_some(place)
    }

    /// `certdrift-ledger-kong`
    #[must_use]
    pub fn index(&self) -> String {
        format!("certdrift-ledger-{}", self.gateway)
    }

    /// `certdrift-ledger-kong-03`
    #[must_use]
    pub fn part(&self, number: &str) -> String {
        format!("certdrift-ledger-{}-{number}", self.gateway)
    }

    /// The number of the part that a ConfigMap of this name holds.
    #[must_use]
    pub fn number<'a>(&self, name: &'a str) -> Option<&'a str> {
        let number =
            name.strip_prefix("certdrift-ledger-")?.strip_prefix(&*self.gateway)?.strip_prefix('-')?;
        is_number(number).then_some(number)
    }

    /// Where they are listed.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps", self.namespace)
    }

    /// What they are chosen by.
    #[must_use]
    pub fn selector(&self) -> String {
        format!("{LABEL}={}", self.gateway)
    }

    /// `configmap:kong/certdrift-ledger-kong`
    #[must_use]
    pub fn object(&self, name: &str) -> String {
        format!("configmap:{}/{name}", self.namespace)
    }

    /// What is applied: our label and our key, and nothing that others may want to set. With `version`, only onto that one.
    ///
    /// # Errors
    /// The document is no text; ours always is.
    pub fn body(
        &self,
        name: &str,
        document: &Document,
        version: Option<&str>,
    ) -> Result<serde_json::Value, std::str::Utf8Error> {
        let bytes = document.bytes();
        let text = std::str::from_utf8(&bytes)?;
        let mut body = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {LABEL: self.gateway}}, "data": {KEY: text}});
        if let (Some(version), Some(meta)) =
            (version, body.get_mut("metadata").and_then(|m| m.as_object_mut()))
        {
            meta.insert("resourceVersion".to_owned(), version.into());
        }
        Ok(body)
    }
}

fn is_number(text: &str) -> bool {
    (2..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// What is there under a name: no bytes, only what tells whether they are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct There {
    /// Unique for ever.
    pub uid: Box<str>,
    /// Opaque.
    pub version: Box<str>,
    /// Of the bytes under [`KEY`]; `None` when the key is missing.
    pub digest: Option<Fingerprint>,
    /// Of the ledger in them, where one can be read.
    pub revision: Option<Revision>,
    /// Others who wrote the key.
    pub hands: Vec<Box<str>>,
    /// Whether our name is among those who wrote it.
    pub ours: bool,
}

#[derive(Deserialize)]
struct Map<'a> {
    metadata: MapMeta,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data<'a> {
    // As KEY says.
    #[serde(rename = "ledger.json", borrow)]
    ledger: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MapMeta {
    name: Box<str>,
    #[serde(default)]
    namespace: Box<str>,
    #[serde(default)]
    uid: Box<str>,
    #[serde(default)]
    resource_version: Box<str>,
    #[serde(default)]
    managed_fields: Vec<Managed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Managed {
    manager: Box<str>,
    operation: Box<str>,
    fields_v1: Fields,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(rename = "f:data")]
    data: Option<BTreeMap<String, IgnoredAny>>,
}

/// Reads an object. Gives its name, what is there, and the bytes under [`KEY`].
///
/// # Errors
/// It is no ConfigMap.
pub fn read(json: &[u8]) -> Result<(ObjectName, There, Option<String>), serde_json::Error> {
    let map: Map<'_> = serde_json::from_slice(json)?;
    let text = map.data.and_then(|data| data.ledger).map(|text| text.0);
    let field = format!("f:{KEY}");
    let mut there = There {
        uid: map.metadata.uid,
        version: map.metadata.resource_version,
        digest: text.as_ref().map(|text| Fingerprint::of(text.as_bytes())),
        revision: text.as_ref().and_then(|text| revision(text)),
        hands: Vec::new(),
        ours: false,
    };
    for managed in map.metadata.managed_fields {
        if managed.fields_v1.data.is_some_and(|data| data.contains_key(&field)) {
            if &*managed.manager == FIELD_MANAGER && &*managed.operation == "Apply" {
                there.ours = true;
            } else {
                there.hands.push(managed.manager);
            }
        }
    }
    let name = ObjectName { namespace: map.metadata.namespace, name: map.metadata.name };
    Ok((name, there, text.map(std::borrow::Cow::into_owned)))
}

/// A reader for the watch.
#[must_use]
pub fn reader() -> Reader<There> {
    Box::new(|json| match read(json) {
        Ok((name, there, _)) => Ok(Item { name, version: there.version.to_string(), kept: Ok(Some(there)) }),
        Err(error) => named(json, format!("a ConfigMap cannot be read: {:?}", error.classify())),
    })
}

/// The revision a ledger, whole or index, says it has.
fn revision(text: &str) -> Option<Revision> {
    #[derive(Deserialize)]
    struct Said {
        revision: u64,
    }
    serde_json::from_str::<Said>(text).ok().map(|said| Revision(said.revision))
}
