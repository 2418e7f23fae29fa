//! The requests of a watch, as paths and queries.
use super::machine::{Ask, PAGE};
use std::fmt::Write as _;

/// A kind of object, and which of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// `""` for core, else `networking.k8s.io`.
    pub group: String,
    /// `v1`
    pub version: String,
    /// `ingresses`
    pub plural: String,
    /// `None`: all namespaces, or objects of the cluster.
    pub namespace: Option<String>,
    /// `type=kubernetes.io/tls`
    pub fields: Option<String>,
    /// `certdrift.dev/gateway=kong`
    pub labels: Option<String>,
}

impl Resource {
    /// All of a kind.
    #[must_use]
    pub fn new(group: &str, version: &str, plural: &str) -> Self {
        Self { group: group.into(), version: version.into(), plural: plural.into(), ..Self::default() }
    }

    /// Those of one namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Those that this field selector chooses.
    #[must_use]
    pub fn select(mut self, fields: &str) -> Self {
        self.fields = Some(fields.into());
        self
    }

    /// Those that this label selector chooses.
    #[must_use]
    pub fn labelled(mut self, labels: &str) -> Self {
        self.labels = Some(labels.into());
        self
    }

    /// Where they are listed.
    #[must_use]
    pub fn path(&self) -> String {
        let Self { group, version, plural, namespace, .. } = self;
        let mut path =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        if let Some(namespace) = namespace {
            let _ = write!(path, "/namespaces/{namespace}");
        }
        let _ = write!(path, "/{plural}");
        path
    }

    /// Path and query of a request. `lasts` is how many seconds a watch may last before the server ends it.
    #[must_use]
    pub fn uri(&self, ask: &Ask, lasts: u64) -> String {
        let mut uri = self.path();
        match ask {
            Ask::Stream => {
                let _ = write!(
                    uri,
                    "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds={lasts}"
                );
            }
            Ask::Watch(version) => {
                let _ = write!(
                    uri,
                    "?watch=1&resourceVersion={}&allowWatchBookmarks=true&timeoutSeconds={lasts}",
                    escaped(version)
                );
            }
            Ask::Page(from) => return self.page(from.as_deref(), PAGE),
        }
        self.choice(&mut uri);
        uri
    }

    /// Path and query of a page of at most `most` objects, from where the last one ended.
    #[must_use]
    pub fn page(&self, from: Option<&str>, most: u32) -> String {
        let mut uri = format!("{}?limit={most}", self.path());
        if let Some(from) = from {
            let _ = write!(uri, "&continue={}", escaped(from));
        }
        self.choice(&mut uri);
        uri
    }

    fn choice(&self, uri: &mut String) {
        if let Some(fields) = &self.fields {
            let _ = write!(uri, "&fieldSelector={}", escaped(fields));
        }
        if let Some(labels) = &self.labels {
            let _ = write!(uri, "&labelSelector={}", escaped(labels));
        }
    }
}

/// RFC 3986: everything but unreserved characters as `%XX`.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_its_query() {
        let secrets = Resource::new("", "v1", "secrets").within("demo").select("type=kubernetes.io/tls");
        assert_eq!(
            secrets.uri(&Ask::Stream, 290),
            "/api/v1/namespaces/demo/secrets?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=290&fieldSelector=type%3Dkubernetes.io%2Ftls"
        );
        let gateways = Resource::new("gateway.networking.k8s.io", "v1", "gateways");
        assert_eq!(
            gateways.uri(&Ask::Watch("7".into()), 1),
            "/apis/gateway.networking.k8s.io/v1/gateways?watch=1&resourceVersion=7&allowWatchBookmarks=true&timeoutSeconds=1"
        );
        assert_eq!(
            gateways.uri(&Ask::Page(Some("a+b=".into())), 1),
            "/apis/gateway.networking.k8s.io/v1/gateways?limit=50&continue=a%2Bb%3D"
        );
    }
}
