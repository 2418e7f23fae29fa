//! Checks of versions, by the table of what works and fails together. Pure.
use super::super::compat::{self, Known, Part, Row, Version};
use super::super::facts::Facts;
use super::super::findings::{VERSION_FAILS, VERSION_UNTRIED};
use super::super::report::Outcome;
use crate::cluster::workload::Template;
use std::collections::{BTreeMap, BTreeSet};

/// What runs here: each version with an object that has it.
type Found = BTreeMap<(Part, Version), String>;

/// The API server's.
#[must_use]
pub fn kubernetes(facts: &Facts) -> Vec<Outcome> {
    match &facts.server {
        Ok(server) => match Version::parse(&server.version) {
            Some(version) => vec![judged(Part::Kubernetes, version, &[], "")],
            None => vec![Outcome::unknown("", format!("{} is no version", server.version), "")],
        },
        Err(why) => vec![Outcome::unknown("", why, "")],
    }
}

/// cert-manager's.
#[must_use]
pub fn cert_manager(facts: &Facts) -> Vec<Outcome> {
    if facts.cert_manager_kinds.as_ref().is_ok_and(BTreeSet::is_empty) {
        return Vec::new();
    }
    match &facts.cert_manager {
        Ok(pods) => of_pods(pods.iter(), |part| part == Part::CertManager),
        Err(why) => vec![Outcome::unknown(
            "",
            why,
            format!("kubectl get pods -n {}", facts.here.cert_manager().namespace),
        )],
    }
}

/// The gateways' and their ingress controllers'.
#[must_use]
pub fn gateways(facts: &Facts) -> Vec<Outcome> {
    let mut out = Vec::new();
    for (namespace, pods) in &facts.pods {
        match pods {
            Ok(pods) => out.extend(of_pods(pods.iter(), |part| {
                matches!(part, Part::Kong | Part::IngressController | Part::Envoy)
            })),
            Err(why) => out.push(Outcome::unknown(
                format!("namespace {namespace}"),
                why,
                format!("kubectl get pods -n {namespace} -o wide"),
            )),
        }
    }
    out
}

fn of_pods<'a>(pods: impl Iterator<Item = &'a Template>, wanted: impl Fn(Part) -> bool) -> Vec<Outcome> {
    let (mut found, mut nameless) = (Found::new(), BTreeMap::new());
    for pod in pods {
        for container in &pod.spec.containers {
            let (name, tag) = container.image();
            let Some(part) = Part::of_image(name).filter(|part| wanted(*part)) else { continue };
            let object = format!("pod {}", pod.metadata.object());
            match tag.and_then(Version::parse) {
                Some(version) => {
                    found.entry((part, version)).or_insert(object);
                }
                None => {
                    nameless.entry(container.image.to_string()).or_insert(object);
                }
            }
        }
    }
    let beside: Vec<(Part, Version)> = found.keys().copied().collect();
    let judge =
        |((part, version), object): (&(Part, Version), &String)| judged(*part, *version, &beside, object);
    let mut out: Vec<Outcome> = found.iter().map(judge).collect();
    out.extend(nameless.into_iter().map(|(image, object)| {
        let mend = "name the version in the image's tag, beside its digest";
        Outcome::unknown(object, format!("its image {image} names no version"), mend)
    }));
    out
}

fn judged(part: Part, version: Version, beside: &[(Part, Version)], object: &str) -> Outcome {
    let what = |row: &Row| {
        let with =
            row.with.as_ref().map(|(other, span)| format!(" with {} {}", other.name(), compat::span(span)));
        format!("{} {version}{}: {}", part.name(), with.unwrap_or_default(), row.what)
    };
    let Some(row) = compat::of(part, version, beside) else {
        let tried = compat::ROWS.iter().filter(|row| row.part == part && row.known == Known::Works);
        let tried: Vec<String> = tried
            .map(|row| {
                let with = row
                    .with
                    .as_ref()
                    .map(|(part, span)| format!(" (with {} {})", part.name(), compat::span(span)));
                format!("{}{}", compat::span(&row.versions), with.unwrap_or_default())
            })
            .collect();
        let what =
            format!("{} {version}: nobody has tried it; seen to work: {}", part.name(), tried.join(", "));
        let mend = "certdrift drill    # a rehearsal shows whether all hops are seen; docs/compatibility.md lists what was tried";
        return Outcome::warning(&VERSION_UNTRIED, object, what, mend);
    };
    match row.known {
        Known::Works => Outcome::passed(format!("{} {version}: seen to work ({})", part.name(), row.source)),
        Known::Limited => Outcome::warning(
            &VERSION_UNTRIED,
            object,
            what(row),
            "docs/compatibility.md says which versions were seen to work",
        )
        .because(row.source),
        Known::Fails => {
            Outcome::failed(&VERSION_FAILS, object, what(row), "take another version: docs/compatibility.md")
                .because(row.source)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::State;
    use super::super::tests::{facts, pod, states};
    use super::*;
    use crate::cluster::server::Server;
    use crate::converge::Millis;

    fn with(images: &[&str]) -> Vec<Outcome> {
        let pods = images.iter().map(|image| pod(&serde_json::json!([{"image": image}]))).collect();
        gateways(&Facts { pods: [("kong".to_owned(), Ok(pods))].into(), ..facts() })
    }

    #[test]
    fn a_pair_that_fails_together_fails_and_each_alone_does_not() {
        assert_eq!(
            states(&with(&["kong:3.9.1", "kong/kubernetes-ingress-controller:3.5.13"])),
            [State::Passed; 2]
        );
        let pair = with(&["kong:3.9.1", "kong/kubernetes-ingress-controller:3.5.5"]);
        assert_eq!(states(&pair), [State::Passed, State::Failed]);
        assert!(pair[1].why.contains("#7873"), "{pair:#?}");
    }

    #[test]
    fn kong_without_wasm_warns_and_a_version_nobody_tried_warns() {
        let new = with(&["docker.io/kong/kong-gateway:3.11"]);
        assert_eq!(states(&new), [State::Warning]);
        assert!(new[0].what.contains("no Wasm"), "{new:#?}");
        let envoy = with(&["envoyproxy/envoy:v1.39.0"]);
        assert_eq!(envoy[0].code, Some("CD-547"));
        assert!(envoy[0].what.ends_with("seen to work: 1.40"), "{envoy:#?}");
    }

    #[test]
    fn an_image_without_a_version_could_not_be_looked_at() {
        assert_eq!(states(&with(&["kong:latest"])), [State::Unknown]);
        assert_eq!(states(&with(&["kong@sha256:0a"])), [State::Unknown]);
        assert_eq!(
            states(&gateways(&Facts {
                pods: [("kong".to_owned(), Err("forbidden".to_owned()))].into(),
                ..facts()
            })),
            [State::Unknown]
        );
    }

    #[test]
    fn the_servers_version_is_held_to_the_table() {
        let at = |version: &str| {
            let server = Server { version: version.to_owned(), date: None, asked: (Millis(0), Millis(0)) };
            states(&kubernetes(&Facts { server: Ok(server), ..facts() }))
        };
        assert_eq!(at("v1.37.2"), [State::Passed]);
        assert_eq!(at("v1.33.1"), [State::Warning]);
        assert_eq!(at("v1.20.0"), [State::Failed]);
        assert_eq!(at("dev"), [State::Unknown]);
    }

    #[test]
    fn cert_manager_is_known_by_its_image() {
        let with = |image: &str| {
            let pods = vec![pod(&serde_json::json!([{"image": image}]))];
            states(&cert_manager(&Facts {
                cert_manager: Ok(pods),
                cert_manager_kinds: Ok(["certificates".to_owned()].into()),
                ..facts()
            }))
        };
        assert_eq!(with("quay.io/jetstack/cert-manager-controller:v1.21.2"), [State::Passed]);
        assert_eq!(with("quay.io/jetstack/cert-manager-controller:v1.12.0"), [State::Warning]);
    }
}
