//! The API's JSON: lines of a watch and pages of a list, taken apart without keeping anything of them.
use super::machine::Failure;
use crate::cluster::object::Text;
use crate::cluster::{Meta, ObjectName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::time::Duration;

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<T> {
    /// Which.
    pub name: ObjectName,
    /// Its version.
    pub version: String,
    /// What is kept of it; `None` when it is to be left alone. An error holds nothing of its data.
    pub kept: Result<Option<T>, String>,
}

/// Reads an object's JSON; `Err` when not even its name can be read.
pub type Reader<T> = Box<dyn Fn(&[u8]) -> Result<Item<T>, String> + Send + Sync>;

/// A line of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<T> {
    /// An object is there.
    There(Item<T>),
    /// An object is gone.
    Gone(ObjectName, String),
    /// A bookmark: its version, and whether the initial list ends with it.
    Bookmark(String, bool),
    /// The server says that something is wrong.
    Wrong(Failure),
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Named {
    metadata: NamedMeta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NamedMeta {
    name: Box<str>,
    namespace: Box<str>,
    resource_version: String,
    annotations: std::collections::BTreeMap<String, String>,
}

/// A `Status` object.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status<'a> {
    code: u16,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

#[derive(Deserialize)]
struct List<'a> {
    metadata: ListMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// A page of a list: items, version, where the next begins.
pub type PageOf<T> = (Vec<Item<T>>, String, Option<String>);

/// Reads a line of a watch.
///
/// # Errors
/// It is no event; the message holds nothing of it.
pub fn line<T>(bytes: &[u8], read: &Reader<T>) -> Result<Line<T>, String> {
    let event: Event<'_> = serde_json::from_slice(bytes).map_err(|e| unreadable("an event", &e))?;
    let object = event.object.get().as_bytes();
    Ok(match &*event.kind.0 {
        "ADDED" | "MODIFIED" => Line::There(read(object)?),
        "DELETED" => {
            let named: Named = serde_json::from_slice(object).map_err(|e| unreadable("a name", &e))?;
            let NamedMeta { name, namespace, resource_version, .. } = named.metadata;
            Line::Gone(ObjectName { namespace, name }, resource_version)
        }
        "BOOKMARK" => {
            let named: Named = serde_json::from_slice(object).map_err(|e| unreadable("a bookmark", &e))?;
            let ends =
                named.metadata.annotations.get("k8s.io/initial-events-end").is_some_and(|v| v == "true");
            Line::Bookmark(named.metadata.resource_version, ends)
        }
        "ERROR" => {
            let status: Status<'_> = serde_json::from_slice(object).unwrap_or_default();
            Line::Wrong(failure(status.code, &status.message, None))
        }
        other => return Err(format!("an event of unknown type {}", other.escape_default())),
    })
}

/// Reads a page of a list.
///
/// # Errors
/// It is no list; the message holds nothing of it.
pub fn page<T>(bytes: &[u8], read: &Reader<T>) -> Result<PageOf<T>, String> {
    let list: List<'_> = serde_json::from_slice(bytes).map_err(|e| unreadable("a list", &e))?;
    let items: Result<Vec<_>, _> =
        list.items.unwrap_or_default().iter().map(|item| read(item.get().as_bytes())).collect();
    let next = list.metadata.next.filter(|next| !next.is_empty());
    Ok((items?, list.metadata.resource_version, next))
}

/// What an answer that is no success means.
#[must_use]
pub fn failure(code: u16, message: &str, wait: Option<Duration>) -> Failure {
    let message: String = message.chars().take(300).collect();
    match code {
        410 => Failure::Gone,
        400 | 422 => Failure::Refused,
        429 => Failure::Busy(wait),
        401 | 403 => Failure::Forbidden(message),
        404 => Failure::Absent,
        code => Failure::Broken(format!("{code} {message}").trim_end().to_owned()),
    }
}

/// What an error's body says.
#[must_use]
pub fn message(body: &[u8]) -> String {
    serde_json::from_slice::<Status<'_>>(body).map(|s| s.message.into_owned()).unwrap_or_default()
}

/// A reader of ordinary objects.
#[must_use]
pub fn objects<T>(meta: fn(&mut T) -> &mut Meta) -> Reader<T>
where
    T: DeserializeOwned + 'static,
{
    Box::new(move |json| match serde_json::from_slice::<T>(json) {
        Ok(mut object) => {
            let meta = meta(&mut object);
            // Not kept: an object that differs in nothing else has not changed.
            let version = std::mem::take(&mut meta.resource_version).into();
            Ok(Item { name: meta.object(), version, kept: Ok(Some(object)) })
        }
        Err(error) => named(json, unreadable("an object", &error)),
    })
}

/// An object of which only the name can be read.
///
/// # Errors
/// Not even that can.
pub fn named<T>(json: &[u8], why: String) -> Result<Item<T>, String> {
    let named: Named = serde_json::from_slice(json).map_err(|e| unreadable("a name", &e))?;
    let NamedMeta { name, namespace, resource_version, .. } = named.metadata;
    Ok(Item { name: ObjectName { namespace, name }, version: resource_version, kept: Err(why) })
}

/// serde's own message may quote the input, and the input may hold a key.
fn unreadable(what: &str, error: &serde_json::Error) -> String {
    format!("{what} cannot be read: {:?} at column {}", error.classify(), error.column())
}
