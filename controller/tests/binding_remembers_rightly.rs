//! Random histories of a cluster: what is remembered between two bindings saves work and never changes what comes out.
use certdrift::binding::annotation::Extent;
use certdrift::binding::assemble::{Cluster, Memory, Rules, Secrets, assemble};
use certdrift::binding::{gateway_api, kong_ingress};
use certdrift::cluster::ObjectName;
use certdrift::cluster::ingress::Ingress;
use certdrift::cluster::watch::store::Store;
use certdrift::source::kubernetes::requests::Issued;
use certdrift::source::kubernetes::secret::{Secret, Selection};
use certdrift::source::reading::Reading;
use certdrift::source::{Certificate, KeyFamily};
use certdrift_contract::{Fingerprint, UnixTime};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

const HOSTS: [&str; 4] = ["a.example", "b.example", "*.example", "c.d.example"];
const START: UnixTime = UnixTime::from_seconds(1_795_478_400);

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A Secret is there, or is another: what it holds, for which hosts, how many seconds, and what it says itself.
    Secret {
        name: u8,
        age: i64,
        held: Option<(u8, Vec<usize>, i64)>,
        says: Option<usize>,
        labelled: bool,
    },
    SecretGone(u8),
    /// An Ingress is there, or is another.
    Ingress {
        name: u8,
        age: i64,
        parts: Vec<(Vec<usize>, u8)>,
    },
    IngressGone(u8),
    /// Nothing but time.
    Pass,
    /// All is listed anew, without one Secret.
    Listed {
        without: u8,
    },
}

fn step() -> impl Strategy<Value = (Step, i64, bool)> {
    let hosts = || prop::collection::vec(0..HOSTS.len(), 0..3);
    let held =
        prop::option::weighted(0.9, (0u8..6, hosts(), prop::sample::select(vec![-50i64, 40, 90, 10_000])));
    let step = prop_oneof![
        6 => (0u8..4, 0i64..2, held, prop::option::weighted(0.2, 0..HOSTS.len()), prop::bool::weighted(0.9))
            .prop_map(|(name, age, held, says, labelled)| Step::Secret { name, age, held, says, labelled }),
        1 => (0u8..4).prop_map(Step::SecretGone),
        3 => (0u8..3, 0i64..3, prop::collection::vec((hosts(), 0u8..5), 1..3))
            .prop_map(|(name, age, parts)| Step::Ingress { name, age, parts }),
        1 => (0u8..3).prop_map(Step::IngressGone),
        2 => Just(Step::Pass),
        1 => (0u8..4).prop_map(|without| Step::Listed { without }),
    ];
    (step, prop::sample::select(vec![0i64, 1, 30, 61]), prop::bool::weighted(0.9))
}

fn name(of: &str, n: u8) -> ObjectName {
    ObjectName::new("demo", &format!("{of}{n}"))
}

fn secret(
    n: u8,
    age: i64,
    held: Option<(u8, Vec<usize>, i64)>,
    says: Option<usize>,
    labelled: bool,
    now: UnixTime,
) -> Secret {
    let certificate = held.map(|(label, hosts, lasts)| {
        let mut names: Vec<_> = hosts.iter().map(|h| HOSTS[*h].parse().unwrap()).collect();
        names.sort();
        names.dedup();
        Arc::new(Certificate {
            leaf: Fingerprint::of(&[label]),
            chain: Vec::new(),
            not_before: START.plus(-1_000),
            not_after: now.plus(lasts),
            names,
            family: KeyFamily::Ecdsa,
        })
    });
    let label = if labelled { "true" } else { "false" };
    Secret {
        name: name("s", n),
        uid: "u".into(),
        created: START.plus(-age),
        labels: [("ingest".into(), label.into())].into(),
        hosts: says.map(|h| HOSTS[h].into()),
        certificate: None,
        immutable: false,
        reading: Arc::new(Reading { certificate, ..Reading::default() }),
    }
}

fn ingress(n: u8, age: i64, parts: &[(Vec<usize>, u8)]) -> Ingress {
    let created = START.plus(-age).to_string();
    let tls: Vec<_> = parts
        .iter()
        .map(|(hosts, s)| {
            let hosts: Vec<_> = hosts.iter().map(|h| HOSTS[*h]).collect();
            json!({"hosts": hosts, "secretName": format!("s{s}")})
        })
        .collect();
    serde_json::from_value(
        json!({"metadata": {"name": format!("i{n}"), "namespace": "demo", "creationTimestamp": created},
        "spec": {"ingressClassName": "kong", "tls": tls}}),
    )
    .unwrap()
}

proptest! {
    #[test]
    fn what_is_remembered_never_changes_what_comes_out(
        steps in prop::collection::vec(step(), 1..40),
        own in prop::sample::select(vec![None, Some(Extent::Annotation), Some(Extent::Any)]),
        ingests in any::<bool>(),
    ) {
        let rules = Rules { kong_ingress: Some(kong_ingress::Rules::default()), own, ..Rules::default() };
        let selection = Selection { ingest_label: ingests.then(|| "ingest".to_owned()), ..Selection::default() };
        let mut secrets: Store<Secret> = Store::shaped(Secret::binds_like);
        let mut ingresses: Store<Ingress> = Store::default();
        secrets.begin();
        secrets.end();
        let (mut remembers, mut forgets) = (Memory::default(), Memory::default());
        let mut now = START;
        for (step, passed, complete) in steps {
            now = now.plus(passed);
            match step {
                Step::Secret { name: n, age, held, says, labelled } => {
                    secrets.put(name("s", n), Some(secret(n, age, held, says, labelled, now)));
                }
                Step::SecretGone(n) => {
                    secrets.remove(&name("s", n));
                }
                Step::Ingress { name: n, age, parts } => {
                    ingresses.put(name("i", n), Some(ingress(n, age, &parts)));
                }
                Step::IngressGone(n) => {
                    ingresses.remove(&name("i", n));
                }
                Step::Pass => {}
                Step::Listed { without } => {
                    let all: Vec<Secret> = secrets.iter().map(|(_, s)| s.clone()).collect();
                    secrets.begin();
                    for secret in all.into_iter().filter(|s| s.name != name("s", without)) {
                        secrets.put(secret.name.clone(), Some(secret));
                    }
                    secrets.end();
                }
            }
            let bind = |memory: &mut Memory, shape| {
                let cluster = Cluster {
                    ingresses: ingresses.iter().map(|(_, i)| i).collect(),
                    classes: Vec::new(),
                    gateway_api: gateway_api::Objects::default(),
                    secrets: Secrets::Read { all: secrets.iter().collect(), selection: &selection },
                    issued: Issued::default(),
                    complete,
                    shape,
                };
                assemble(&cluster, &rules, memory, now)
            };
            let shape = secrets.shape() + ingresses.shape();
            let (with, without) = (bind(&mut remembers, Some(shape)), bind(&mut forgets, None));
            prop_assert_eq!(with, without);
        }
    }
}
