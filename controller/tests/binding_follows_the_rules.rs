//! Bindings in a cluster: every row of `tests/binding/*.yaml`, whatever the order of the objects.
use certdrift::binding::annotation::{self, Claimant, Extent};
use certdrift::binding::claims::{Settled, settle};
use certdrift::binding::gateway_api::{self, Dialect, Objects};
use certdrift::binding::sight::Sight;
use certdrift::binding::{cluster, kong_ingress};
use certdrift::cluster::ObjectName;
use certdrift::cluster::gateway::{Gateway, GatewayClass, ListenerSet, Namespace, ReferenceGrant, TlsRoute};
use certdrift::cluster::ingress::{Ingress, IngressClass};
use certdrift::cluster::object::Meta;
use certdrift::finding::Finding;
use certdrift_contract::{HostPattern, Rules, UnixTime};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    from: String,
    #[serde(default)]
    class: Option<String>,
    #[serde(default)]
    namespaces: BTreeSet<String>,
    #[serde(default)]
    gateways: Vec<String>,
    #[serde(default)]
    extent: Option<String>,
    #[serde(default)]
    secrets: Option<BTreeSet<String>>,
    #[serde(default)]
    unlabelled: BTreeSet<String>,
    #[serde(default)]
    holds: BTreeMap<String, String>,
    objects: Vec<Value>,
    hosts: BTreeMap<String, String>,
    #[serde(default)]
    passthrough: BTreeSet<String>,
    #[serde(default)]
    findings: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    code: String,
    object: String,
    #[serde(default)]
    says: String,
}

fn of<T: for<'a> Deserialize<'a>>(objects: &[Value], kind: &str) -> Vec<T> {
    let of_kind = objects.iter().filter(|o| o["kind"] == kind);
    // As from the wire: borrowed strings and all.
    of_kind.map(|o| serde_json::from_str(&o.to_string()).unwrap_or_else(|e| panic!("{o}: {e}"))).collect()
}

fn refs<T>(all: &[T]) -> Vec<&T> {
    all.iter().collect()
}

struct Outcome {
    settled: Settled,
    findings: Vec<Finding>,
    passthrough: BTreeSet<HostPattern>,
}

fn bind(case: &Case, objects: &[Value], kong: bool) -> Outcome {
    let look = |name: &ObjectName| {
        let name = name.to_string();
        match &case.secrets {
            Some(there) if !there.contains(&name) => Sight::Missing,
            _ if case.unlabelled.contains(&name) => Sight::NotIngested,
            _ => Sight::There,
        }
    };
    let (gateways, classes) =
        (of::<Gateway>(objects, "Gateway"), of::<GatewayClass>(objects, "GatewayClass"));
    let (sets, routes) = (of::<ListenerSet>(objects, "ListenerSet"), of::<TlsRoute>(objects, "TLSRoute"));
    let (grants, spaces) =
        (of::<ReferenceGrant>(objects, "ReferenceGrant"), of::<Namespace>(objects, "Namespace"));
    let api = Objects {
        gateways: &refs(&gateways),
        classes: &refs(&classes),
        sets: &refs(&sets),
        routes: &refs(&routes),
        grants: &refs(&grants),
        namespaces: &refs(&spaces),
    };
    let api_rules = gateway_api::Rules {
        dialect: if kong { Dialect::Kong } else { Dialect::Standard },
        controller: if kong { "konghq.com/kic-gateway-controller" } else { "example.com/gw" }.into(),
        gateways: case.gateways.iter().map(|g| ObjectName::parse(g).unwrap()).collect(),
    };
    let mut all = Vec::new();
    if kong {
        let rules = kong_ingress::Rules {
            class: case.class.clone().unwrap_or("kong".into()),
            namespaces: case.namespaces.clone(),
        };
        let (ingresses, classes) =
            (of::<Ingress>(objects, "Ingress"), of::<IngressClass>(objects, "IngressClass"));
        all.push(kong_ingress::claims(&refs(&ingresses), &refs(&classes), &rules, &look));
    }
    all.push(gateway_api::claims(&api, &api_rules, &look));
    let claimants: Vec<Claimant> = objects
        .iter()
        .filter(|o| o["kind"] == "Secret")
        .map(|o| {
            let meta: Meta = serde_json::from_str(&o["metadata"].to_string()).unwrap();
            let names = o["names"].as_array().cloned().unwrap_or_default();
            Claimant {
                secret: meta.object(),
                created: meta.creation_timestamp.unwrap_or(UnixTime::from_seconds(0)),
                hosts: meta.annotation(annotation::HOSTS).map(Into::into),
                names: names.iter().map(|n| n.as_str().unwrap().parse().unwrap()).collect(),
            }
        })
        .collect();
    let extent = if case.extent.as_deref() == Some("any") { Extent::Any } else { Extent::Annotation };
    let holds = |host: &HostPattern, secret: &ObjectName| {
        case.holds.get(host.as_str()).is_some_and(|s| *s == secret.to_string())
    };
    all.push(annotation::claims(&claimants, extent, &holds));
    let passthrough = all.iter().flat_map(|c| c.passthrough.clone()).collect();
    let mut findings: Vec<Finding> = all.iter().flat_map(|c| c.findings.clone()).collect();
    let settled = settle(all.into_iter().flat_map(|c| c.list), if kong { Rules::Kong } else { Rules::Envoy });
    findings.extend(settled.findings.clone());
    findings.sort_by(|a, b| (&a.code, &a.object, &a.why).cmp(&(&b.code, &b.object, &b.why)));
    Outcome { settled, findings, passthrough }
}

fn check(case: &Case, objects: &[Value], kong: bool) {
    let outcome = bind(case, objects, kong);
    let hosts: BTreeMap<String, String> = outcome
        .settled
        .hosts
        .iter()
        .map(|(host, won)| (host.as_str().into(), cluster::source(&won.secrets)))
        .collect();
    assert_eq!(hosts, case.hosts, "{} ({})", case.name, case.from);
    let passthrough: BTreeSet<String> = outcome.passthrough.iter().map(|h| h.as_str().into()).collect();
    assert_eq!(passthrough, case.passthrough, "{}", case.name);
    let told = |e: &Expected| {
        outcome.findings.iter().any(|f| f.code == e.code && f.object == e.object && f.why.contains(&e.says))
    };
    for expected in &case.findings {
        assert!(told(expected), "{}: no {} in {:#?}", case.name, expected.code, outcome.findings);
    }
    assert_eq!(outcome.findings.len(), case.findings.len(), "{}: {:#?}", case.name, outcome.findings);
}

fn cases(yaml: &str) -> Vec<Case> {
    serde_saphyr::from_str(yaml).unwrap()
}

#[test]
fn kongs_ingress_controllers_rules_hold_whatever_the_order_of_the_objects() {
    let cases = cases(include_str!("binding/kong.yaml"));
    assert!(cases.len() > 30);
    for case in &cases {
        for turn in 0..case.objects.len().max(1) {
            let mut objects = case.objects.clone();
            objects.rotate_left(turn);
            check(case, &objects, true);
            objects.reverse();
            check(case, &objects, true);
        }
    }
}

#[test]
fn gateway_apis_words_hold_whatever_the_order_of_the_objects() {
    for case in &cases(include_str!("binding/gateway_api.yaml")) {
        for turn in 0..case.objects.len().max(1) {
            let mut objects = case.objects.clone();
            objects.rotate_left(turn);
            check(case, &objects, false);
        }
    }
}
