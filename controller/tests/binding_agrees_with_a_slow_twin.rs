//! Random clusters: the binding agrees with a second, slow and obvious implementation; the order of objects never
//! matters; every host has one winner; every loser is told who won.
use certdrift::binding::annotation::{self, Claimant, Extent};
use certdrift::binding::claims::{Settled, settle};
use certdrift::binding::gateway_api::{self, Objects};
use certdrift::binding::kong_ingress;
use certdrift::binding::sight::Sight;
use certdrift::cluster::ObjectName;
use certdrift::cluster::gateway::{Gateway, GatewayClass};
use certdrift::cluster::ingress::Ingress;
use certdrift::finding::Finding;
use certdrift_contract::{HostPattern, Rules, UnixTime};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A binding object of either kind, or a Secret with an annotation.
#[derive(Clone, Debug)]
struct Thing {
    kind: u8,
    namespace: &'static str,
    name: u8,
    age: i64,
    ours: bool,
    parts: Vec<(Vec<&'static str>, u8)>,
}

const HOSTS: [&str; 6] = ["a.x.example", "b.x.example", "*.x.example", "y.example", "*", "a.b.x.example"];

fn thing() -> impl Strategy<Value = Thing> {
    let hosts = prop::collection::vec(prop::sample::select(&HOSTS[..]), 0..3);
    let parts = prop::collection::vec((hosts, 0u8..3), 1..3);
    (0u8..3, prop::sample::select(&["m", "n"][..]), 0u8..4, 0i64..3, prop::bool::weighted(0.8), parts)
        .prop_map(|(kind, namespace, name, age, ours, parts)| Thing {
            kind,
            namespace,
            name,
            age,
            ours,
            parts,
        })
}

/// Things with a name each of its kind.
fn cluster() -> impl Strategy<Value = (Vec<Thing>, BTreeSet<(String, u8)>)> {
    let missing = prop::collection::btree_set(
        (prop::sample::select(&["m", "n"][..]).prop_map(String::from), 0u8..3),
        0..3,
    );
    (prop::collection::vec(thing(), 0..9), missing).prop_map(|(mut things, missing)| {
        let mut seen = BTreeSet::new();
        things.retain(|t| seen.insert((t.kind, t.namespace, t.name)));
        (things, missing)
    })
}

fn at(age: i64) -> UnixTime {
    UnixTime::from_seconds(1_767_225_600 + age)
}

type Secret = (String, u8);

fn bind(things: &[Thing], missing: &BTreeSet<Secret>) -> (Settled, Vec<Finding>) {
    let meta = |t: &Thing| json!({"name": format!("o{}", t.name), "namespace": t.namespace, "creationTimestamp": at(t.age).to_string()});
    let ingresses: Vec<Ingress> = things
        .iter()
        .filter(|t| t.kind == 0)
        .map(|t| {
            let tls: Vec<_> =
                t.parts.iter().map(|(h, s)| json!({"hosts": h, "secretName": format!("s{s}")})).collect();
            let class = if t.ours { "kong" } else { "other" };
            serde_json::from_value(
                json!({"metadata": meta(t), "spec": {"ingressClassName": class, "tls": tls}}),
            )
            .unwrap()
        })
        .collect();
    let gateways: Vec<Gateway> = things
        .iter()
        .filter(|t| t.kind == 1)
        .map(|t| {
            let listeners: Vec<_> = t
                .parts
                .iter()
                .enumerate()
                .flat_map(|(i, (hosts, s))| hosts.iter().map(move |h| (i, *h, *s)))
                .enumerate()
                .map(|(n, (_, host, s))| {
                    let mut listener = json!({"name": format!("l{n}"), "port": 443, "protocol": "HTTPS",
                        "tls": {"certificateRefs": [{"name": format!("s{s}")}]}});
                    if host != "*" {
                        listener["hostname"] = host.into();
                    }
                    listener
                })
                .collect();
            let class = if t.ours { "kong" } else { "other" };
            serde_json::from_value(
                json!({"metadata": meta(t), "spec": {"gatewayClassName": class, "listeners": listeners}}),
            )
            .unwrap()
        })
        .collect();
    let claimants: Vec<Claimant> = things
        .iter()
        .filter(|t| t.kind == 2)
        .map(|t| Claimant {
            secret: ObjectName::new(t.namespace, &format!("o{}", t.name)),
            created: at(t.age),
            hosts: t.ours.then(|| t.parts.iter().flat_map(|(h, _)| h.clone()).collect::<Vec<_>>().join(",")),
            names: Vec::new(),
        })
        .collect();
    let class: GatewayClass =
        serde_json::from_value(json!({"metadata": {"name": "kong"}, "spec": {"controllerName": "c"}}))
            .unwrap();
    let look = |name: &ObjectName| {
        let index = name.name.strip_prefix('s').and_then(|n| n.parse().ok());
        match index {
            Some(index) if missing.contains(&(name.namespace.to_string(), index)) => Sight::Missing,
            _ => Sight::There,
        }
    };
    let objects =
        Objects { gateways: &gateways.iter().collect::<Vec<_>>(), classes: &[&class], ..Objects::default() };
    let rules = gateway_api::Rules { controller: "c".into(), ..Default::default() };
    let all = [
        kong_ingress::claims(
            &ingresses.iter().collect::<Vec<_>>(),
            &[],
            &kong_ingress::Rules::default(),
            &look,
        ),
        gateway_api::claims(&objects, &rules, &look),
        annotation::claims(&claimants, Extent::Annotation, &|_, _| false),
    ];
    let mut findings: Vec<Finding> = all.iter().flat_map(|c| c.findings.clone()).collect();
    let settled = settle(all.into_iter().flat_map(|c| c.list), Rules::Kong);
    findings.extend(settled.findings.clone());
    findings.sort_by(|a, b| (&a.code, &a.object, &a.why).cmp(&(&b.code, &b.object, &b.why)));
    (settled, findings)
}

/// Who serves each host, by the rules as the notes tell them, one host at a time.
fn slowly(things: &[Thing], missing: &BTreeSet<Secret>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut strong_of: BTreeMap<String, &'static str> = BTreeMap::new();
    let loadable = |t: &Thing, s: u8| !missing.contains(&(t.namespace.to_owned(), s));
    for host in HOSTS {
        let claims = |kind: u8| {
            let mut all = Vec::new();
            for t in things.iter().filter(|t| t.kind == kind && t.ours) {
                for (n, (hosts, s)) in t.parts.iter().enumerate() {
                    if hosts.contains(&host) {
                        all.push(((t.age, t.namespace, t.name, n), t, *s));
                    }
                }
            }
            all.sort_by_key(|(key, ..)| *key);
            all
        };
        let ingress = claims(0).first().map(|(_, t, s)| (*t, *s)).filter(|(t, s)| loadable(t, *s));
        let listener = claims(1).iter().find(|(_, t, s)| loadable(t, *s)).map(|(_, t, s)| (*t, *s));
        if let Some((t, s)) = ingress.or(listener) {
            out.insert(host.to_owned(), format!("{}/s{s}", t.namespace));
            strong_of.insert(host.to_owned(), t.namespace);
        }
    }
    for host in HOSTS {
        if out.contains_key(host) {
            continue;
        }
        // What of the gateway's own rules answers for the host already, and whose it is.
        let covers: &[&str] = match host {
            "a.x.example" | "b.x.example" => &["*.x.example", "*"],
            "*" => &[],
            _ => &["*"],
        };
        let owner = covers.iter().find_map(|c| strong_of.get(*c));
        let mut all: Vec<_> = things
            .iter()
            .filter(|t| t.kind == 2 && t.ours && t.parts.iter().any(|(h, _)| h.contains(&host)))
            .filter(|t| owner.is_none_or(|o| *o == t.namespace))
            .collect();
        all.sort_by_key(|t| (t.age, t.namespace, t.name));
        if let Some(t) = all.first() {
            out.insert(host.to_owned(), format!("{}/o{}", t.namespace, t.name));
        }
    }
    out
}

fn winners(settled: &Settled) -> BTreeMap<String, String> {
    settled.hosts.iter().map(|(h, w)| (h.as_str().to_owned(), w.secrets[0].to_string())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CERTDRIFT_LONG").is_some() { 100_000 } else { 2_000 }))]

    #[test]
    fn both_give_each_host_to_the_same_secret((things, missing) in cluster()) {
        let (settled, _) = bind(&things, &missing);
        prop_assert_eq!(winners(&settled), slowly(&things, &missing));
    }

    #[test]
    fn the_order_of_objects_never_matters((things, missing) in cluster(), seed in any::<u64>()) {
        let before = bind(&things, &missing);
        let mut shuffled = things;
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        prop_assert_eq!(before, bind(&shuffled, &missing));
    }

    #[test]
    fn every_loser_is_told_who_won((things, missing) in cluster()) {
        let (settled, findings) = bind(&things, &missing);
        for t in things.iter().filter(|t| t.ours) {
            let kind = ["Ingress", "Gateway", "Secret"][usize::from(t.kind)];
            let by = format!("{kind} {}/o{}", t.namespace, t.name);
            for (hosts, s) in &t.parts {
                for host in hosts {
                    let secret = if t.kind == 2 { format!("{}/o{}", t.namespace, t.name) } else { format!("{}/s{s}", t.namespace) };
                    let host: HostPattern = host.parse().unwrap();
                    let won = settled.hosts.get(&host).map(|w| w.secrets[0].to_string());
                    if won.as_deref() == Some(&secret) {
                        continue;
                    }
                    let told: Vec<_> = findings.iter().filter(|f| f.object == by).collect();
                    prop_assert!(!told.is_empty(), "{} lost {} and is told nothing", by, host.as_str());
                    if let Some(won) = won && t.kind != 1 {
                        // What is contested may also be served by a wider pattern of the winner's namespace.
                        let named = told.iter().any(|f| f.why.contains(&won) || f.why.contains("(as "));
                        let absent = told.iter().any(|f| f.code == "CD-152" || f.why.contains("cannot be loaded"));
                        prop_assert!(named || absent, "{by} lost {host:?} to {won}: {told:#?}");
                    }
                }
            }
        }
    }
}
