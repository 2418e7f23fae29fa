//! From Ingresses and Secrets to what is pushed. Pure; its tests are the table of cases, each with where it was seen.
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;
use rustls_pki_types::pem::PemObject as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A certificate and the server names it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Certificate {
    names: Vec<String>,
    tags: Option<String>,
    pem: String,
}

/// An object that cannot be translated, and why in KIC's words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) objects: Vec<ObjectReference>,
    pub(crate) message: String,
}

/// What the cluster's objects come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Configuration {
    certificates: BTreeMap<String, Certificate>,
    pub(crate) failures: Vec<Failure>,
    /// An Ingress in it has a plugin that is invalid.
    pub(crate) broken: Option<ObjectReference>,
}

impl Configuration {
    /// As it is pushed.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, certificate) in &self.certificates {
            let _ = writeln!(text, "certificate {name}");
            for name in &certificate.names {
                let _ = writeln!(text, "sni {name}");
            }
            if let Some(tags) = &certificate.tags {
                let _ = writeln!(text, "tags {tags}");
            }
            let _ = writeln!(text, "{}\nend", certificate.pem.trim_end());
        }
        if self.broken.is_some() {
            text.push_str("plugin rate-limiting config.minute=-5\n");
        }
        text
    }
}

/// Translates. `broken` names the Ingress whose plugin is invalid.
pub(crate) fn translate(
    class: &str,
    mut ingresses: Vec<Ingress>,
    secrets: &[Secret],
    broken: Option<&str>,
) -> Configuration {
    ingresses.retain(|ingress| is_of(ingress, class));
    // The oldest first: who claims a host first has it.
    ingresses.sort_by_key(|ingress| (ingress.creation_timestamp(), ingress.namespace(), ingress.name_any()));
    let secrets: BTreeMap<String, &Secret> =
        secrets.iter().map(|secret| (full_name(secret), secret)).collect();
    let mut configuration = Configuration::default();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut wanted: BTreeMap<String, (Vec<String>, ObjectReference)> = BTreeMap::new();
    for ingress in &ingresses {
        let itself = reference("Ingress", "networking.k8s.io/v1", ingress);
        if broken == Some(full_name(ingress).as_str()) {
            configuration.broken = Some(itself.clone());
        }
        for tls in ingress.spec.iter().filter_map(|spec| spec.tls.as_ref()).flatten() {
            let Some(secret) = &tls.secret_name else { continue };
            let hosts = tls.hosts.iter().flatten().filter(|host| taken.insert((*host).clone()));
            let mut hosts = hosts.cloned().peekable();
            if hosts.peek().is_some() {
                let name = format!("{}/{secret}", ingress.namespace().unwrap_or_default());
                wanted.entry(name).or_insert_with(|| (Vec::new(), itself.clone())).0.extend(hosts);
            }
        }
    }
    for (name, (hosts, ingress)) in wanted {
        let Some(secret) = secrets.get(&name) else {
            let message = format!("Failed to fetch the secret ({name})");
            configuration.failures.push(Failure { objects: vec![ingress], message });
            continue;
        };
        match pem(secret) {
            Some(pem) => {
                configuration
                    .certificates
                    .insert(name, Certificate { names: hosts, tags: tags(*secret), pem });
            }
            None => configuration.failures.push(Failure {
                objects: vec![ingress, reference("Secret", "v1", *secret)],
                message: "failed to construct certificate from secret".to_owned(),
            }),
        }
    }
    configuration
}

/// Those that an object gives its entity: another one makes another configuration. No other annotation does.
pub(crate) fn tags(object: &impl kube::ResourceExt) -> Option<String> {
    object.annotations().get("konghq.com/tags").cloned()
}

fn is_of(ingress: &Ingress, class: &str) -> bool {
    let spec = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
    let older = ingress.annotations().get("kubernetes.io/ingress.class").map(String::as_str);
    spec.or(older) == Some(class)
}

fn full_name(object: &impl kube::ResourceExt) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

fn reference(kind: &str, version: &str, object: &impl kube::ResourceExt) -> ObjectReference {
    ObjectReference {
        api_version: Some(version.to_owned()),
        kind: Some(kind.to_owned()),
        namespace: object.namespace(),
        name: Some(object.name_any()),
        uid: object.uid(),
        ..ObjectReference::default()
    }
}

/// Certificates and key, where they fit.
fn pem(secret: &Secret) -> Option<String> {
    let part =
        |name: &str| secret.data.as_ref()?.get(name).and_then(|bytes| std::str::from_utf8(&bytes.0).ok());
    let (chain, key) = (part("tls.crt")?, part("tls.key")?);
    let certificates: Result<Vec<_>, _> =
        rustls_pki_types::CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let der = rustls_pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&der).ok()?;
    rustls::sign::CertifiedKey::new(certificates.ok()?, signing).keys_match().ok()?;
    Some(format!("{}\n{}", chain.trim_end(), key.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ingress(name: &str, second: u8, spec: &serde_json::Value) -> Ingress {
        let metadata = json!({"name": name, "namespace": "demo", "uid": name,
            "creationTimestamp": format!("2026-11-25T00:00:{second:02}Z")});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn tls(hosts: &[&str], secret: &str) -> serde_json::Value {
        json!({"ingressClassName": "kong", "tls": [{"hosts": hosts, "secretName": secret}]})
    }

    fn with_key(name: &str, key: &rcgen::KeyPair) -> Secret {
        let pair = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&pair).unwrap();
        let key = if name == "wrong" { key.serialize_pem() } else { pair.serialize_pem() };
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.namespace = Some("demo".to_owned());
        let bytes = |text: String| k8s_openapi::ByteString(text.into_bytes());
        secret.data =
            Some([("tls.crt".into(), bytes(certificate.pem())), ("tls.key".into(), bytes(key))].into());
        secret
    }

    /// `SECRET: NAME NAME`, for each certificate that is pushed.
    fn pushed(ingresses: Vec<Ingress>) -> (Vec<String>, Vec<String>) {
        let other = rcgen::KeyPair::generate().unwrap();
        let secrets = ["a", "b", "wrong"].map(|name| with_key(name, &other));
        let configuration = translate("kong", ingresses, &secrets, None);
        let lines =
            configuration.certificates.iter().map(|(name, c)| format!("{name}: {}", c.names.join(" ")));
        (lines.collect(), configuration.failures.into_iter().map(|failure| failure.message).collect())
    }

    /// What it shows, the Ingresses, what is pushed, what fails.
    type Case = (&'static str, Vec<Ingress>, &'static [&'static str], &'static [&'static str]);

    #[test]
    fn the_table_of_cases() {
        // Each as it was seen with KIC 3.5.13 (cluster notes, sections 2 and 4), or read in its code (landscape, C6).
        let cases: Vec<Case> = vec![
            (
                "one host, two Ingresses, two Secrets: the older Ingress's, whatever the names (section 4)",
                vec![ingress("a", 2, &tls(&["x.example"], "a")), ingress("z", 1, &tls(&["x.example"], "b"))],
                &["demo/b: x.example"],
                &[],
            ),
            (
                "who loses one host keeps the others (C6)",
                vec![
                    ingress("a", 1, &tls(&["x.example"], "a")),
                    ingress("z", 2, &tls(&["x.example", "y.example"], "b")),
                ],
                &["demo/a: x.example", "demo/b: y.example"],
                &[],
            ),
            (
                "tls without hosts: default, silent (section 4)",
                vec![ingress("a", 1, &tls(&[], "a"))],
                &[],
                &[],
            ),
            (
                "no ingressClassName: default, silent (section 4)",
                vec![ingress("a", 1, &json!({"tls": [{"hosts": ["x.example"], "secretName": "a"}]}))],
                &[],
                &[],
            ),
            (
                "a wildcard is pushed as it is (section 4)",
                vec![ingress("a", 1, &tls(&["*.wild.example.com"], "a"))],
                &["demo/a: *.wild.example.com"],
                &[],
            ),
            (
                "a Secret that is not there: the host has no certificate (section 2)",
                vec![ingress("a", 1, &tls(&["x.example"], "nope-tls"))],
                &[],
                &["Failed to fetch the secret (demo/nope-tls)"],
            ),
            (
                "a Secret with the wrong key: default for its host, all else fine (section 2)",
                vec![
                    ingress("a", 1, &tls(&["x.example"], "wrong")),
                    ingress("z", 2, &tls(&["y.example"], "a")),
                ],
                &["demo/a: y.example"],
                &["failed to construct certificate from secret"],
            ),
        ];
        for (case, ingresses, certificates, failures) in cases {
            let (pushed, failed) = pushed(ingresses);
            assert_eq!(pushed, certificates, "{case}");
            assert_eq!(failed, failures, "{case}");
        }
    }

    #[test]
    fn an_ingress_with_an_invalid_plugin_spoils_the_whole_of_it() {
        // Section 2: last good everywhere, of every host.
        let ingresses =
            vec![ingress("a", 1, &tls(&["x.example"], "a")), ingress("z", 2, &tls(&["y.example"], "b"))];
        let configuration = translate("kong", ingresses, &[], Some("demo/z"));
        assert_eq!(configuration.broken.and_then(|broken| broken.name).as_deref(), Some("z"));
    }
}
