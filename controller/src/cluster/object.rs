//! What all objects have: names, times, labels, owners, conditions.
use certdrift_contract::UnixTime;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Namespace and name of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectName {
    /// Empty for an object of the cluster.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

/// Names of objects, sorted, each once; shared by who remembers them.
pub type Names = Arc<[ObjectName]>;

impl ObjectName {
    /// From its two parts.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// From `NAMESPACE/NAME`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        (!namespace.is_empty() && !name.is_empty() && !name.contains('/')).then(|| Self::new(namespace, name))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// `metadata`, as far as it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// `NAME`
    pub name: Box<str>,
    /// Empty for an object of the cluster.
    pub namespace: Box<str>,
    /// Unique for ever: an object deleted and made again has another.
    pub uid: Box<str>,
    /// Opaque; compared for equality, handed back in preconditions and watches.
    pub resource_version: Box<str>,
    /// To the second. Absent only in objects that never were in a cluster.
    pub creation_timestamp: Option<UnixTime>,
    /// Set once it is being deleted.
    pub deletion_timestamp: Option<UnixTime>,
    /// All of them.
    pub labels: Labels,
    /// Those under the prefixes of [`KEPT`].
    pub annotations: Annotations,
    /// Who owns it.
    pub owner_references: Vec<Owner>,
}

impl Meta {
    /// Namespace and name.
    #[must_use]
    pub fn object(&self) -> ObjectName {
        ObjectName { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// The annotation of this name, if it is there and not empty.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.0.get(key).map(|value| &**value).filter(|value| !value.is_empty())
    }

    /// What the oldest is found by: the time of creation, then the name.
    #[must_use]
    pub fn age(&self) -> (UnixTime, &str, &str) {
        // One without a time (it never was in a cluster) is younger than any.
        let created = self.creation_timestamp.unwrap_or(UnixTime::from_seconds(i64::MAX));
        (created, &self.namespace, &self.name)
    }
}

/// An owner of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// `Certificate`
    pub kind: Box<str>,
    /// In the owned object's namespace.
    pub name: Box<str>,
    /// Of the owner.
    pub uid: Box<str>,
    /// Whether it is the one that manages the object.
    pub controller: bool,
}

/// Labels of an object.
pub type Labels = BTreeMap<Box<str>, Box<str>>;

/// Prefixes of the annotations that are kept; others (`last-applied-configuration`) are as large as the object itself.
pub const KEPT: [&str; 6] = [
    "certdrift.dev/",
    "cert-manager.io/",
    "konghq.com/",
    "kubernetes.io/ingress.class",
    "ingressclass.kubernetes.io/",
    "acme.cert-manager.io/",
];

/// Annotations under the prefixes of [`KEPT`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations(pub BTreeMap<Box<str>, Box<str>>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Keeping;
        impl<'de> Visitor<'de> for Keeping {
            type Value = Annotations;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }
            fn visit_unit<E>(self) -> Result<Annotations, E> {
                Ok(Annotations::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut kept = BTreeMap::new();
                while let Some(Text(key)) = map.next_key()? {
                    if KEPT.iter().any(|prefix| key.starts_with(prefix)) {
                        let Text(value) = map.next_value()?;
                        kept.insert(Box::from(&*key), Box::from(&*value));
                    } else {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                Ok(Annotations(kept))
            }
        }
        from.deserialize_any(Keeping)
    }
}

/// A string that is borrowed from the input where its JSON has no escapes.
#[derive(Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// A condition of an object's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// `Ready`
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// `True`, `False`, `Unknown`
    pub status: Box<str>,
    /// For programs.
    pub reason: Box<str>,
    /// For people.
    pub message: Box<str>,
    /// Since when its status is what it is.
    pub last_transition_time: Option<UnixTime>,
}

/// The condition of this type.
#[must_use]
pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| &*c.kind == kind)
}

/// Whether the condition of this type is `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    condition(conditions, kind).is_some_and(|c| &*c.status == "True")
}

/// Reads a list that the API may write as `null`.
pub(crate) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<Vec<T>>::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_annotations_that_are_used_are_kept() {
        let meta: Meta = serde_json::from_str(
            r#"{"name": "a", "namespace": "n", "creationTimestamp": "2026-11-24T00:00:00Z", "managedFields": [{}],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"a\": 1}",
                "certdrift.dev/hosts": "a.example,\u0062.example", "konghq.com/tags": "x"}}"#,
        )
        .unwrap();
        assert_eq!(meta.annotation("certdrift.dev/hosts"), Some("a.example,b.example"));
        assert_eq!(meta.annotations.0.len(), 2);
        assert_eq!(meta.object().to_string(), "n/a");
        assert_eq!(meta.creation_timestamp.unwrap().to_string(), "2026-11-24T00:00:00Z");
        let null: Meta = serde_json::from_str(r#"{"name": "a", "annotations": null}"#).unwrap();
        assert_eq!(null.annotations, Annotations::default());
    }
}
