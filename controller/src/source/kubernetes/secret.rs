//! A Secret of type `kubernetes.io/tls`, hashed while its JSON is read. There is no field for `tls.key`.
use crate::cluster::ObjectName;
use crate::cluster::object::{Labels, Meta, Text};
use crate::cluster::watch::wire::{self, Item, Reader};
use crate::source::reading::{Reading, read};
use base64::Engine as _;
use certdrift_contract::UnixTime;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Annotation and label that leave a Secret out (`ignore`) or, where only chosen ones are read, take it in (`watch`).
pub const CHOICE: &str = "certdrift.dev/secret";

/// What is kept of a Secret: a few hundred bytes, whatever its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Which.
    pub name: ObjectName,
    /// Changes when the Secret is deleted and made again.
    pub uid: Box<str>,
    /// When it was made.
    pub created: UnixTime,
    /// Those that the selection asks for.
    pub labels: Labels,
    /// `certdrift.dev/hosts`
    pub hosts: Option<Box<str>>,
    /// `cert-manager.io/certificate-name`: the Certificate that owns it.
    pub certificate: Option<Box<str>>,
    /// Its data can never change.
    pub immutable: bool,
    /// What `tls.crt` says.
    pub reading: Arc<Reading>,
}

impl Secret {
    /// Whether no claim is another when this becomes `next`, as in a renewal. Names of a certificate may be claims until it
    /// ends, so one that ends earlier is another matter.
    #[must_use]
    pub fn binds_like(&self, next: &Self) -> bool {
        let alike = match (&self.reading.certificate, &next.reading.certificate) {
            (Some(old), Some(new)) => old.names == new.names && old.not_after <= new.not_after,
            (None, None) => true,
            _ => false,
        };
        alike && (self.created, &self.labels, &self.hosts) == (next.created, &next.labels, &next.hosts)
    }
}

/// Which Secrets are looked at, and what is kept of their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only Secrets that say `certdrift.dev/secret: watch`, as annotation or label.
    pub chosen_only: bool,
    /// `--secret-label-selector` of Kong's ingress controller: the label's name.
    pub ingest_label: Option<String>,
}

impl Selection {
    /// Whether the ingress controller reads the Secret.
    #[must_use]
    pub fn ingests(&self, secret: &Secret) -> bool {
        self.ingest_label
            .as_ref()
            .is_none_or(|label| secret.labels.get(label.as_str()).is_some_and(|value| &**value == "true"))
    }

    fn takes(&self, meta: &Meta) -> bool {
        let choice = meta.annotation(CHOICE).or(meta.labels.get(CHOICE).map(|value| &**value));
        match choice {
            Some("ignore") => false,
            Some("watch") => true,
            _ => !self.chosen_only,
        }
    }
}

/// A Secret as the API writes it, as far as it is looked at.
#[derive(Deserialize)]
struct Written<'a> {
    metadata: Meta,
    #[serde(default)]
    immutable: bool,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

/// `data`: the certificate only; everything else is passed over where it stands.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default, rename = "tls.crt")]
    certificate: Option<Text<'a>>,
}

/// Reads Secrets as a watch sends them.
#[must_use]
pub fn reader(selection: Selection) -> Reader<Secret> {
    Box::new(move |json| match serde_json::from_slice::<Written<'_>>(json) {
        Ok(mut written) => {
            let version = std::mem::take(&mut written.metadata.resource_version).into();
            let name = written.metadata.object();
            Ok(Item { name, version, kept: Ok(written.reduce(&selection)) })
        }
        // serde's own message may quote a string of the input.
        Err(e) => {
            wire::named(json, format!("it cannot be read: {:?} at column {}", e.classify(), e.column()))
        }
    })
}

impl Written<'_> {
    fn reduce(self, selection: &Selection) -> Option<Secret> {
        if !selection.takes(&self.metadata) {
            return None;
        }
        let name = self.metadata.object();
        let text = self.data.and_then(|data| data.certificate);
        let reading = text.map_or_else(|| read(b"", None, None), |text| read_base64(&text.0));
        let labels: BTreeMap<_, _> = self
            .metadata
            .labels
            .iter()
            .filter(|(key, _)| selection.ingest_label.as_deref() == Some(&***key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Some(Secret {
            hosts: self.metadata.annotation("certdrift.dev/hosts").map(Into::into),
            certificate: self.metadata.annotation("cert-manager.io/certificate-name").map(Into::into),
            created: self.metadata.creation_timestamp.unwrap_or(UnixTime::from_seconds(0)),
            uid: self.metadata.uid,
            labels,
            immutable: self.immutable,
            reading: Arc::new(reading),
            name,
        })
    }
}

/// Reads a PEM file that is written as base64, as the API writes bytes.
#[must_use]
pub fn read_base64(text: &str) -> Reading {
    match base64::engine::general_purpose::STANDARD.decode(text) {
        Ok(pem) => read(&pem, None, None),
        // What the API wrote is base64; if not, there is no certificate in it.
        Err(_) => read(b"no base64", None, None),
    }
}
