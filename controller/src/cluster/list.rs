//! All objects of a kind, read once, page by page: by who looks and goes, and watches nothing.
use super::ObjectName;
use super::call::{Call, Refusal};
use super::watch::request::Resource;
use super::watch::wire::{self, Reader};
use serde_json::value::RawValue;
use std::time::Duration;

/// Objects of a page.
const PAGE: u32 = 100;
/// How long one page may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was read of a kind.
#[derive(Debug)]
pub struct Listed<T> {
    /// What was kept of it.
    pub items: Vec<T>,
    /// Those that cannot be understood, and why.
    pub faults: Vec<(ObjectName, String)>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { items: Vec::new(), faults: Vec::new() }
    }
}

/// Lists all that a resource names.
///
/// # Errors
/// The server refuses, does not know the kind, or gives no answer.
pub async fn list<T>(
    client: &kube::Client,
    resource: &Resource,
    read: &Reader<T>,
) -> Result<Listed<T>, Refusal> {
    let mut out = Listed::default();
    let mut from: Option<String> = None;
    loop {
        let page: Box<RawValue> =
            Call::get(resource.page(from.as_deref(), PAGE)).send(client, PATIENCE).await?;
        let (items, _, next) = wire::page(page.get().as_bytes(), read).map_err(Refusal::Broken)?;
        for item in items {
            match item.kept {
                Ok(kept) => out.items.extend(kept),
                Err(why) => out.faults.push((item.name, why)),
            }
        }
        match next {
            Some(_) => from = next,
            None => return Ok(out),
        }
    }
}
