//! The pure core: which gateways are chosen, what could not be read costs, and what a row says.
use super::expect;
use super::find::{Chosen, Kind, Named, choose};
use super::judge::{self, Sights};
use super::read::{Unread, World};
use super::report::{Gateway, Hop, Pod, Verdict};
use crate::cluster::pod::Port;
use crate::converge::Millis;
use crate::diagnose::Cause;
use crate::issuance::follow;
use crate::observe::endpoint::Sight;
use crate::observe::handshake::{Look, Served};
use crate::observe::leaf::Facts;
use crate::observe::pods::Which;
use crate::observe::verifier::{Offer, Possession};
use crate::source::kubernetes::secret::{Selection, reader};
use crate::source::made::{Authority, Leaf, NOW, self_signed};
use base64::Engine as _;
use certdrift_contract::Fingerprint;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

const HOST: &str = "x.example";

fn object<T: DeserializeOwned>(value: impl Into<Value>) -> T {
    let value: Value = value.into();
    serde_json::from_str(&value.to_string()).unwrap()
}

fn pod(namespace: &str, workload: &str, nth: u8, containers: &Value) -> Value {
    json!({"metadata": {"name": format!("{workload}-5d9c-{nth}"), "namespace": namespace,
            "labels": {"app": workload, "pod-template-hash": "5d9c"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": format!("{workload}-5d9c"), "uid": "1", "controller": true}]},
        "spec": {"containers": containers}, "status": {"phase": "Running", "podIP": format!("10.0.0.{nth}")}})
}

fn proxy() -> Value {
    json!([{"name": "proxy", "image": "kong:3.9.1", "ports": [{"name": "proxy-tls", "containerPort": 8443}]}])
}

fn kic(environment: &Value) -> Value {
    json!([{"name": "c", "image": "kong/kubernetes-ingress-controller:3.5.13", "env": environment}])
}

fn world(pods: Vec<Value>) -> World {
    World { pods: pods.into_iter().map(object).collect(), ..World::default() }
}

fn chosen(world: &World) -> Vec<Chosen> {
    choose(&Named::default(), world)
}

#[test]
fn a_gateway_is_a_workload_and_its_ingress_controller_says_what_binds() {
    let told = json!([{"name": "CONTROLLER_INGRESS_CLASS", "value": "edge"}, {"name": "CONTROLLER_WATCH_NAMESPACE", "value": "shop, pay"}]);
    let world = world(vec![
        pod("kong", "gateway", 1, &proxy()),
        pod("kong", "gateway", 2, &proxy()),
        pod("kong", "controller", 3, &kic(&told)),
        pod("shop", "web", 4, &json!([{"image": "nginx:1"}])),
    ]);
    let [one] = &chosen(&world)[..] else { panic!("{:#?}", chosen(&world)) };
    assert_eq!((one.name.as_str(), one.finder.namespace.as_str()), ("gateway", "kong"));
    let Which::Labels(selector) = &one.finder.which else { panic!("{one:#?}") };
    assert_eq!(selector.match_labels.keys().map(|k| &**k).collect::<Vec<_>>(), ["app"], "no pod's own label");
    let rules = one.rules.kong_ingress.as_ref().unwrap();
    assert_eq!(rules.class, "edge");
    assert_eq!(rules.namespaces.iter().collect::<Vec<_>>(), ["pay", "shop"]);
    assert!(one.why.contains("class edge (as its ingress controller is told) in pay, shop"), "{}", one.why);
}

#[test]
fn the_only_class_of_kongs_controller_is_taken_and_a_named_one_before_it() {
    let mut world = world(vec![pod("kong", "gateway", 1, &proxy())]);
    let class = |name: &str, controller: &str| {
        object(json!({"metadata": {"name": name}, "spec": {"controller": controller}}))
    };
    world.classes = vec![
        class("nginx", "k8s.io/ingress-nginx"),
        class("external", "ingress-controllers.konghq.com/kong"),
    ];
    let class_of = |named: &Named| choose(named, &world)[0].rules.kong_ingress.clone().unwrap().class;
    assert_eq!(class_of(&Named::default()), "external");
    assert_eq!(class_of(&Named { class: Some("mine".to_owned()), ..Named::default() }), "mine");
    world.classes.push(class("internal", "ingress-controllers.konghq.com/kong"));
    assert_eq!(choose(&Named::default(), &world)[0].rules.kong_ingress.clone().unwrap().class, "kong");
}

#[test]
fn two_workloads_of_one_name_are_told_apart_by_their_namespaces() {
    let world = world(vec![pod("a", "kong", 1, &proxy()), pod("b", "kong", 2, &proxy())]);
    let names: Vec<String> = chosen(&world).into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["a/kong", "b/kong"]);
    let only = choose(&Named { namespace: Some("b".to_owned()), ..Named::default() }, &world);
    assert_eq!(only.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["kong"]);
}

#[test]
fn an_envoy_of_a_gateway_is_found_by_its_label_and_served_where_its_service_says() {
    let mut envoy = pod("system", "envoy-eg", 1, &json!([{"image": "envoyproxy/envoy:v1.35.0"}]));
    for (key, value) in [("name", "eg"), ("namespace", "shop")] {
        envoy["metadata"]["labels"][format!("gateway.envoyproxy.io/owning-gateway-{key}")] = value.into();
    }
    let mut world = world(vec![envoy]);
    world.services = vec![object(json!({"metadata": {"name": "envoy-eg", "namespace": "system"},
        "spec": {"selector": {"app": "envoy-eg"}, "ports": [{"name": "http", "port": 80}, {"name": "https-443", "port": 443, "targetPort": 10443}]}}))];
    world.gateways = vec![object(
        json!({"metadata": {"name": "eg", "namespace": "shop"}, "spec": {"gatewayClassName": "eg"}}),
    )];
    world.gateway_classes = vec![object(
        json!({"metadata": {"name": "eg"}, "spec": {"controllerName": "gateway.envoyproxy.io/c"}}),
    )];
    let [one] = &chosen(&world)[..] else { panic!("{:#?}", chosen(&world)) };
    assert_eq!(one.finder.which, Which::Service("envoy-eg".to_owned()));
    assert_eq!(one.finder.port, Some(Port::Number(443)));
    let rules = one.rules.gateway_api.as_ref().unwrap();
    assert_eq!(rules.controller, "gateway.envoyproxy.io/c");
    assert_eq!(rules.gateways.iter().map(ToString::to_string).collect::<Vec<_>>(), ["shop/eg"]);
    assert!(one.rules.kong_ingress.is_none());
}

#[test]
fn what_was_named_is_taken_as_it_is() {
    let world = world(vec![pod("edge", "gw", 1, &json!([{"image": "mine:1"}]))]);
    assert!(chosen(&world).is_empty(), "nothing says that it is a gateway");
    let named = Named {
        namespace: Some("edge".to_owned()),
        labels: [("app".into(), "gw".into())].into(),
        port: Some(Port::Number(9443)),
        kind: Some(Kind::Kong),
        ..Named::default()
    };
    let [one] = &choose(&named, &world)[..] else { panic!() };
    assert_eq!((one.name.as_str(), &one.finder.port), ("gw", &Some(Port::Number(9443))));
}

fn unread(kind: &'static str) -> Unread {
    Unread { kind, namespace: None, why: "forbidden".to_owned() }
}

#[test]
fn what_could_not_be_read_costs_only_where_it_would_have_told_something() {
    let cost = |world: &World, kind: &'static str| {
        let world = World {
            unread: vec![unread(kind)],
            ingresses: world.ingresses.clone(),
            gateways: world.gateways.clone(),
            ..World::default()
        };
        expect::costs(&world).remove(0).costs
    };
    let none = World::default();
    let mut some = World { ingresses: vec![ingress("s", &[HOST])], ..World::default() };
    assert_eq!(cost(&some, "ingressclasses"), None, "every Ingress names its class");
    some.ingresses[0].spec.ingress_class_name = None;
    assert!(cost(&some, "ingressclasses").is_some());
    for kind in ["gatewayclasses", "referencegrants", "namespaces", "services", "tlsroutes"] {
        assert_eq!(cost(&none, kind), None, "{kind}: there is no Gateway");
    }
    some.gateways = vec![object(json!({"metadata": {"name": "g", "namespace": "n"}}))];
    for kind in ["gatewayclasses", "referencegrants"] {
        assert!(cost(&some, kind).is_some(), "{kind}");
    }
    for kind in
        ["secrets", "ingresses", "gateways", "listenersets", "certificates", "certificaterequests", "pods"]
    {
        assert!(cost(&none, kind).is_some(), "{kind}");
    }
}

fn ingress(secret: &str, hosts: &[&str]) -> crate::cluster::ingress::Ingress {
    object(
        json!({"metadata": {"name": "i", "namespace": "demo", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"ingressClassName": "kong", "tls": [{"hosts": hosts, "secretName": secret}]}}),
    )
}

/// A world in which `x.example` is bound to the Secret `s` with this certificate, and a gateway of two pods.
fn bound(leaf: &Leaf) -> World {
    let written = json!({"kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "s", "namespace": "demo", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "data": {"tls.crt": base64::engine::general_purpose::STANDARD.encode(&leaf.certificate)}});
    let secret = reader(Selection::default())(written.to_string().as_bytes()).unwrap().kept.unwrap().unwrap();
    World {
        secrets: vec![secret],
        ingresses: vec![ingress("s", &[HOST])],
        ..world(vec![pod("kong", "gateway", 1, &proxy()), pod("kong", "gateway", 2, &proxy())])
    }
}

fn served(leaf: &Leaf) -> Look {
    let der = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
    Look::Served(Box::new(Served {
        leaf: Fingerprint::of(&der),
        chain: Vec::new(),
        facts: Facts::of(&der),
        certificates: vec![der],
        possession: Possession::Proven,
        version: Some("TLSv1.3"),
        broke_off: None,
    }))
}

/// What is said of the gateway when its pods show this.
fn said(world: &World, looks: [Option<Look>; 2]) -> Gateway {
    said_with(world, looks, None)
}

/// The same, when the first pod says of its configuration that there is none.
fn said_with(world: &World, looks: [Option<Look>; 2], empty: Option<bool>) -> Gateway {
    let chosen = chosen(world).remove(0);
    let unread = expect::costs(world);
    let mut memory = follow::Memory::default();
    let expected =
        expect::expected(world, &unread, &chosen, &Selection::default(), &mut memory, NOW).unwrap();
    let mut sights = Sights::new();
    let mut pods = Vec::new();
    for (n, look) in looks.into_iter().enumerate() {
        let name = format!("kong/gateway-5d9c-{}", n + 1);
        if let Some(look) = look {
            let sight = Sight { offer: Offer::Any, began: Millis::from(NOW), look, report: None };
            sights.insert((name.clone(), Arc::from(HOST)), vec![sight]);
        }
        pods.push(Pod {
            why: judge::silence(&sights, &name),
            name,
            port: 8443,
            ready: true,
            empty: empty.filter(|_| n == 0),
        });
    }
    judge::gateway(world, &chosen, &expected, pods, Vec::new(), &sights, NOW)
}

#[test]
fn what_is_stored_and_served_by_every_pod_is_a_match() {
    let leaf = Authority::new().leaf(&[HOST], -1, 90);
    let gateway = said(&bound(&leaf), [Some(served(&leaf)), Some(served(&leaf))]);
    let [host] = &gateway.hosts[..] else { panic!("{gateway:#?}") };
    assert_eq!((host.verdict, host.detail.as_str()), (Verdict::Match, ""), "{host:#?}");
    assert_eq!(
        (host.issued, host.stored, host.bound, host.served),
        (Hop::None, Hop::Good, Hop::Good, Hop::Good)
    );
    assert_eq!((host.source.as_str(), host.by.as_str()), ("demo/s", "Ingress demo/i"));
    assert_eq!(judge::comes_to(&gateway), Verdict::Match);
}

#[test]
fn a_pod_that_serves_an_earlier_certificate_drifts_and_one_look_cannot_tell_why() {
    let authority = Authority::new();
    let (old, new) = (authority.leaf(&[HOST], -60, 30), authority.leaf(&[HOST], -1, 90));
    let gateway = said(&bound(&new), [Some(served(&new)), Some(served(&old))]);
    let host = &gateway.hosts[0];
    assert_eq!((host.verdict, host.served, host.cause), (Verdict::Drift, Hop::Bad, None));
    assert_eq!(host.seen[1].class, Some("previous"), "{host:#?}");
    assert!(host.detail.starts_with("kong/gateway-5d9c-2 serves an earlier certificate "), "{}", host.detail);
    // Another name on it, or a younger one: nobody can say that it came before.
    let other = authority.leaf(&[HOST, "y.example"], -60, 30);
    assert_eq!(
        said(&bound(&new), [Some(served(&new)), Some(served(&other))]).hosts[0].seen[1].class,
        Some("unknown")
    );
    let both = said(&bound(&new), [Some(served(&old)), Some(served(&old))]);
    assert_eq!(both.hosts[0].cause, None, "one look cannot tell");
    assert!(both.hosts[0].detail.starts_with("2 of 2 pods serve an earlier"), "{}", both.hosts[0].detail);
}

#[test]
fn the_placeholder_is_told_as_the_default_certificate() {
    let leaf = Authority::new().leaf(&[HOST], -1, 90);
    let placeholder = self_signed("localhost", &["localhost"], false);
    let gateway = said(&bound(&leaf), [Some(served(&placeholder)), Some(served(&leaf))]);
    assert_eq!(gateway.hosts[0].seen[0].class, Some("default"), "{gateway:#?}");
}

#[test]
fn a_pod_that_says_it_has_no_configuration_is_empty() {
    let leaf = Authority::new().leaf(&[HOST], -1, 90);
    let placeholder = self_signed("localhost", &["localhost"], false);
    let world = bound(&leaf);
    let looks = || [Some(served(&placeholder)), Some(served(&leaf))];
    let cause = |empty| said_with(&world, looks(), empty).hosts[0].cause;
    assert_eq!(cause(Some(true)), Some(Cause::PodEmpty));
    assert_eq!(cause(Some(false)), None, "one look cannot tell");
    assert_eq!(cause(None), None, "it was not asked");
}

#[test]
fn a_pod_that_was_not_seen_never_passes_and_is_no_drift() {
    let leaf = Authority::new().leaf(&[HOST], -1, 90);
    let away = || Look::Unreachable("connection refused".to_owned());
    for look in [Some(away()), None] {
        let gateway = said(&bound(&leaf), [Some(served(&leaf)), look]);
        let host = &gateway.hosts[0];
        assert_eq!((host.verdict, host.served), (Verdict::Unknown, Hop::Unknown), "{host:#?}");
        assert!(host.detail.starts_with("1 of 2 pods not seen: kong/gateway-5d9c-2: "), "{}", host.detail);
    }
    let gateway = said(&bound(&leaf), [Some(served(&leaf)), Some(away())]);
    assert_eq!(gateway.pods[1].why.as_deref(), Some("connection refused"));
    assert_eq!(gateway.pods[0].why, None);
}

#[test]
fn an_expired_certificate_is_invalid_even_where_every_pod_serves_it() {
    let leaf = Authority::new().leaf(&[HOST], -90, -1);
    let gateway = said(&bound(&leaf), [Some(served(&leaf)), Some(served(&leaf))]);
    assert_eq!(
        (gateway.hosts[0].verdict, gateway.hosts[0].stored),
        (Verdict::Invalid, Hop::Bad),
        "{gateway:#?}"
    );
}

#[test]
fn a_certificate_that_does_not_name_its_host_is_invalid() {
    let leaf = Authority::new().leaf(&["y.example"], -1, 90);
    let gateway = said(&bound(&leaf), [Some(served(&leaf)), Some(served(&leaf))]);
    let host = &gateway.hosts[0];
    assert_eq!((host.verdict, host.stored), (Verdict::Invalid, Hop::Bad), "{gateway:#?}");
}

#[test]
fn a_binding_to_a_secret_that_is_not_there_is_invalid_without_a_row() {
    let leaf = Authority::new().leaf(&[HOST], -1, 90);
    let mut world = bound(&leaf);
    world.ingresses.push(ingress("none", &["y.example"]));
    let gateway = said(&world, [Some(served(&leaf)), Some(served(&leaf))]);
    assert_eq!(gateway.hosts.len(), 1);
    assert_eq!(judge::comes_to(&gateway), Verdict::Invalid, "{gateway:#?}");
}

#[test]
fn without_secrets_what_they_hold_is_not_known() {
    let leaf = Authority::new().leaf(&[HOST], -1, 90);
    let mut world = bound(&leaf);
    world.secrets.clear();
    world.unread.push(unread("secrets"));
    let gateway = said(&world, [Some(served(&leaf)), Some(served(&leaf))]);
    let host = &gateway.hosts[0];
    assert_eq!((host.verdict, host.stored), (Verdict::Unknown, Hop::Unknown), "{gateway:#?}");
}

#[test]
fn a_certificate_whose_secret_no_host_has_is_named() {
    let leaf = Authority::new().leaf(&[HOST], -1, 90);
    let mut world = bound(&leaf);
    let certificate = |name: &str| {
        object(
            json!({"metadata": {"name": name, "namespace": "demo", "uid": name}, "spec": {"secretName": name},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        )
    };
    world.certificates = vec![certificate("s"), certificate("free")];
    let chosen = chosen(&world).remove(0);
    let mut memory = follow::Memory::default();
    let expected = expect::expected(&world, &[], &chosen, &Selection::default(), &mut memory, NOW).unwrap();
    assert_eq!(judge::unbound(&world, &[&expected]), ["demo/free"]);
}

#[test]
fn the_schema_is_what_the_answer_has() {
    crate::config::tests::kept("deploy/schema/audit.schema.json", &super::report::schema_text());
}

#[test]
fn a_signed_certificate_that_its_secret_does_not_hold_is_not_stored_once_it_has_lasted() {
    let authority = Authority::new();
    let (old, new) = (authority.leaf(&[HOST], -60, 30), authority.leaf(&[HOST], -1, 90));
    let mut world = bound(&old);
    let signed = base64::engine::general_purpose::STANDARD.encode(&new.certificate);
    world.certificates = vec![object(
        json!({"metadata": {"name": "x", "namespace": "demo", "uid": "c"}, "spec": {"secretName": "s"},
        "status": {"revision": 1, "conditions": [{"type": "Ready", "status": "True"}, {"type": "Issuing", "status": "True"}]}}),
    )];
    world.requests = vec![object(json!({"metadata": {"name": "x-2", "namespace": "demo", "uid": "r",
            "annotations": {"cert-manager.io/certificate-revision": "2"},
            "ownerReferences": [{"kind": "Certificate", "name": "x", "uid": "c", "controller": true}]},
        "status": {"certificate": signed, "conditions": [{"type": "Ready", "status": "True"}]}}))];
    let chosen = chosen(&world).remove(0);
    let mut memory = follow::Memory::default();
    let mut looked = |after: i64| {
        let now = NOW.plus(after);
        let expected =
            expect::expected(&world, &[], &chosen, &Selection::default(), &mut memory, now).unwrap();
        judge::gateway(&world, &chosen, &expected, Vec::new(), Vec::new(), &Sights::new(), now)
            .hosts
            .remove(0)
    };
    assert_eq!(looked(0).stored, Hop::Good, "a store takes a moment");
    let host = looked(6);
    assert_eq!((host.stored, host.verdict), (Hop::Bad, Verdict::Invalid), "{host:#?}");
    assert_eq!(host.issued, Hop::Good, "issued it is");
    assert!(host.detail.contains("signed and not stored"), "{}", host.detail);
}

#[test]
fn of_several_classes_none_is_guessed_into_a_verdict() {
    let (authority, class) = (Authority::new(), |name: &str| -> crate::cluster::ingress::IngressClass {
        object(
            json!({"metadata": {"name": name}, "spec": {"controller": "ingress-controllers.konghq.com/kong"}}),
        )
    });
    let (old, new) = (authority.leaf(&[HOST], -60, 30), authority.leaf(&[HOST], -1, 90));
    let several = World { classes: vec![class("kong"), class("internal")], ..bound(&new) };
    for leaf in [&old, &new] {
        let gateway = said(&several, [Some(served(&new)), Some(served(leaf))]);
        let host = &gateway.hosts[0];
        assert_eq!((host.verdict, judge::comes_to(&gateway)), (Verdict::Unknown, Verdict::Unknown));
        assert!(host.detail.ends_with("name their class with --ingress-class"), "{}", host.detail);
    }
}
