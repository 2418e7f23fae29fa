//! Under the roles that the chart renders: in each reach nothing is refused and every verb that is granted is used, and
//! one rule less is named by the controller within a minute.
mod canary;

use super::cluster::{ingress, inside_of, made, published};
use super::{here, objects, rendered};
use base64::Engine as _;
use certdrift_cluster::audit::Object;
use certdrift_cluster::{Cluster, Kind, Namespace, Own};
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// A canary is asked for thirty seconds after it was made, and what keeps it is told once it has lasted.
const LONG: Duration = Duration::from_secs(120);

/// The namespaces of a release, and what is in the one within its reach.
struct Stage<'a> {
    cluster: &'a Cluster,
    form: &'a str,
    own: Namespace,
    gateway: Namespace,
    reach: Namespace,
    host: String,
}

impl<'a> Stage<'a> {
    /// With a certificate that is bound and stored, as cert-manager leaves it, and an Ingress whose Secret is not there.
    fn set(cluster: &'a Cluster, form: &'a str) -> Self {
        let namespace = |what: &str| cluster.namespace(&format!("{form}-{what}")).unwrap();
        let host = format!("x.{form}.example");
        let stage = Self {
            cluster,
            form,
            own: namespace("own"),
            gateway: namespace("gateway"),
            reach: namespace("reach"),
            host,
        };
        let n = stage.reach.name();
        let certificate = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": "web", "namespace": n},
            "spec": {"secretName": "web-tls", "dnsNames": [stage.host], "issuerRef": {"name": "ca"}}});
        cluster.apply(&certificate.to_string()).unwrap();
        cluster.apply(&ingress(n, &stage.host, "web-tls")).unwrap();
        let lacking = ingress(n, &format!("y.{form}.example"), "none");
        cluster.apply(&lacking.replace(r#""name":"i""#, r#""name":"lacking""#)).unwrap();
        let (pem, key) = stage.sign(1);
        stage.store("web-tls", &pem, &key);
        let renewal = "2035-01-01T00:00:00Z";
        stage.status(
            "certificate/web",
            &json!({"revision": 1, "renewalTime": renewal, "conditions": [ready()]}),
        );
        stage
    }

    /// With the label by which one form chooses them.
    fn store(&self, name: &str, pem: &str, key: &str) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": self.reach.name(), "labels": {"konghq.com/secret": "true"}},
            "stringData": {"tls.crt": pem, "tls.key": key}});
        self.cluster.apply(&secret.to_string()).unwrap();
    }

    fn status(&self, object: &str, status: &Value) {
        let patch = json!({"status": status}).to_string();
        let n = self.reach.name();
        let arguments = ["patch", object, "-n", n, "--subresource=status", "--type=merge", "--patch", &patch];
        self.cluster.kubectl(&arguments).unwrap();
    }

    /// A request of this revision is signed; the certificate and its key.
    fn sign(&self, revision: u32) -> (String, String) {
        self.sign_for("web", &self.host, revision)
    }

    fn sign_for(&self, certificate: &str, host: &str, revision: u32) -> (String, String) {
        let n = self.reach.name();
        let uid =
            self.cluster.get(n, &format!("certificate/{certificate}")).unwrap()["metadata"]["uid"].clone();
        let (pem, key, _) = made(host);
        let name = format!("{certificate}-{revision}");
        let request = json!({"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": name, "namespace": n,
                "annotations": {"cert-manager.io/certificate-revision": revision.to_string()},
                "ownerReferences": [{"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": certificate, "uid": uid,
                    "controller": true}]},
            "spec": {"request": "AAAA", "issuerRef": {"name": "ca"}}});
        self.cluster.apply(&request.to_string()).unwrap();
        let certificate = base64::engine::general_purpose::STANDARD.encode(&pem);
        let status = json!({"certificate": certificate, "conditions": [ready()]});
        self.status(&format!("certificaterequest/{name}"), &status);
        (pem, key)
    }

    /// What the chart renders of this form for a release whose gateway is called like it.
    fn release(&'a self, release: &str) -> Release<'a> {
        let values =
            here("good").into_iter().find(|path| path.file_stem().is_some_and(|s| s == self.form)).unwrap();
        let text = std::fs::read_to_string(values).unwrap();
        let text = text
            .replace("- name: kong\n", &format!("- name: {release}\n"))
            .replace("c.kong.example", &format!("c.{release}.example"))
            .replace("GATEWAY", self.gateway.name())
            .replace("REACH", self.reach.name());
        let folder = tempfile::tempdir().unwrap();
        let values = folder.path().join("values.yaml");
        std::fs::write(&values, text).unwrap();
        let all = objects(&rendered(release, self.own.name(), &values).unwrap());
        let account =
            |o: &&Value| o["kind"] == "ServiceAccount" || o["apiVersion"] == "rbac.authorization.k8s.io/v1";
        let rbac = all.iter().filter(account).cloned().collect();
        let is_canary =
            |o: &&Value| o["metadata"]["name"].as_str().is_some_and(|name| name.ends_with("-canary"));
        let canary = all.iter().filter(is_canary).cloned().collect();
        let map = all.iter().find(|o| o["kind"] == "ConfigMap").unwrap();
        let configuration = serde_saphyr::from_str(map["data"]["certdrift.yaml"].as_str().unwrap()).unwrap();
        Release { stage: self, name: release.to_owned(), rbac, canary, configuration, folder }
    }
}

fn ready() -> Value {
    json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-11-24T00:00:00Z"})
}

/// Account, roles, what belongs to the canary, and configuration, as rendered.
struct Release<'a> {
    stage: &'a Stage<'a>,
    name: String,
    rbac: Vec<Value>,
    canary: Vec<Value>,
    configuration: Value,
    folder: tempfile::TempDir,
}

impl Release<'_> {
    fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}-certdrift", self.stage.own.name(), self.name)
    }

    /// Which role, and which of its rules.
    fn rules(&self) -> Vec<(usize, usize)> {
        let of = |(n, object): (usize, &Value)| -> Vec<(usize, usize)> {
            (0..object["rules"].as_array().map_or(0, Vec::len)).map(|rule| (n, rule)).collect()
        };
        self.rbac.iter().enumerate().flat_map(of).collect()
    }

    /// `list secrets`, for each verb on each kind.
    fn granted(&self) -> BTreeSet<String> {
        self.rules().into_iter().flat_map(|(role, rule)| words(&self.rbac[role]["rules"][rule])).collect()
    }

    /// The controller, as that account and with that configuration but for its port and its files.
    fn start(&self) -> Controller {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": self.rbac});
        let cluster = self.stage.cluster;
        cluster.apply(&list.to_string()).unwrap();
        let config = cluster.kubectl(&["config", "view", "--raw", "--output=json"]).unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        config["users"][0]["user"]["as"] = self.user().into();
        let kubeconfig: PathBuf = self.folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let mut section = self.configuration["kubernetes"].clone();
        section["kubeconfig"] = kubeconfig.display().to_string().into();
        let gateways = format!("  {}\n", self.configuration["gateways"]);
        Controller::start_with(&format!("kubernetes: {section}"), &gateways).unwrap()
    }
}

fn words(rule: &Value) -> Vec<String> {
    let strings =
        |key: &str| -> Vec<&str> { rule[key].as_array().unwrap().iter().filter_map(Value::as_str).collect() };
    let kinds = strings("resources");
    strings("verbs").iter().flat_map(|verb| kinds.iter().map(move |kind| format!("{verb} {kind}"))).collect()
}

/// Secrets whose certificates have so many names that a ledger with all of them is more than one ConfigMap takes.
fn many(cluster: &Cluster, n: &str, form: &str) {
    let (a, b, c) = ("a".repeat(60), "b".repeat(60), "c".repeat(60));
    for secret in 0..6 {
        let names = (0..150).map(|name| format!("{a}.{b}.{c}.n{name}-{secret}.{form}.example"));
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let object = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": format!("many-{secret}"), "namespace": n, "labels": {"many": "yes"}},
            "stringData": {"tls.crt": certificate.pem(), "tls.key": key.serialize_pem()}});
        cluster.apply(&object.to_string()).unwrap();
    }
}

/// Does with a controller what it takes for each of its verbs; gives what was granted and never asked for.
fn unused(cluster: &Cluster, form: &str) -> BTreeSet<String> {
    let stage = Stage::set(cluster, form);
    let (n, gateway) = (stage.reach.name(), stage.gateway.name());
    let release = stage.release("cd");
    if form == "canary" {
        stage.canary(&release);
    }
    let mark = cluster.audit_mark().unwrap();
    let mut controller = release.start();
    wait::until("the ledger", PATIENCE, || match published(cluster, gateway, "cd") {
        Ok(ledger) if ledger.current(&stage.host).len() == 1 => Ok(()),
        other => Err(format!("{form}: {other:#?}\n{}", controller.log())),
    });
    let events = |wanted: &str| {
        wait::until(&format!("{wanted} as an Event"), PATIENCE, || {
            let all =
                cluster.kubectl(&["get", "events", "-n", n, "-o", "wide"]).map_err(|e| e.to_string())?;
            if all.contains(wanted) { Ok(()) } else { Err(format!("{form}: {all}\n{}", controller.log())) }
        });
    };
    if form != "keyless" {
        // Nothing is told there, and no Secret speaks for itself.
        let maps = |wanted: &dyn Fn(usize) -> bool| {
            wait::until("the ConfigMaps", PATIENCE, || {
                let arguments =
                    ["get", "configmaps", "-n", gateway, "-l", "certdrift.dev/gateway=cd", "-o", "name"];
                let all = cluster.kubectl(&arguments).map_err(|e| e.to_string())?;
                if wanted(all.lines().count()) {
                    Ok(())
                } else {
                    Err(format!("{form}: {all}\n{}", controller.log()))
                }
            });
        };
        many(cluster, n, form);
        maps(&|count| count > 2);
        cluster.kubectl(&["delete", "secrets", "-n", n, "-l", "many=yes"]).unwrap();
        maps(&|count| count == 1);
        events("CD-152");
        stage.sign(2);
        events("CD-172");
        controller.kill();
        // As if told long ago: the one who comes after finds them there, and tells again what still holds.
        let old =
            json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}).to_string();
        let names = cluster.kubectl(&["get", "events.events.k8s.io", "-n", n, "-o", "name"]).unwrap();
        for event in names.lines() {
            cluster.kubectl(&["patch", event, "-n", n, "--type=merge", "--patch", &old]).unwrap();
        }
        controller.run().unwrap();
    }
    let (granted, user) = (release.granted(), release.user());
    let used = || -> BTreeSet<String> {
        let asked = cluster.audit_since(mark).unwrap();
        let ours: Vec<_> = asked.iter().filter(|request| request.user() == user).collect();
        let refused: Vec<_> = ours.iter().filter(|request| matches!(request.code(), 401 | 403)).collect();
        assert!(refused.is_empty(), "{form}: {refused:#?}");
        let kind = |object: &Object| match &*object.subresource {
            "" => object.resource.clone(),
            sub => format!("{}/{sub}", object.resource),
        };
        ours.iter().map(|request| format!("{} {}", request.verb, kind(&request.object))).collect()
    };
    wait::until("the Events to be told again", LONG, || {
        let used = used();
        let last = "patch events";
        // It is asked for thirty seconds after it was made.
        let rotated = "patch certificates/status";
        let all = [last, rotated];
        if all.iter().all(|words| used.contains(*words) || !granted.contains(*words)) {
            Ok(())
        } else {
            Err(format!("{form}: {used:#?}\n{}", controller.log()))
        }
    });
    let used = used();
    let beyond: Vec<_> = used.difference(&granted).collect();
    assert!(beyond.is_empty(), "{form}: {beyond:?}");
    granted.difference(&used).cloned().collect()
}

/// Runs a test in the network of a cluster of its own: with `reach: cluster` it would look at others' objects, and
/// nothing of cert-manager's may store what is signed here.
fn alone(name: &str, test: impl FnOnce(&Cluster) + Send + 'static) {
    let own = Own::start(name, Kind::ApiOnly).unwrap();
    own.cert_manager_crds().unwrap();
    own.gateway_api_crds().unwrap();
    inside_of((*own).clone(), move |cluster| test(&cluster));
}

#[test]
fn in_each_reach_nothing_is_refused_and_every_verb_is_used() {
    alone("chartuses", |cluster| {
        for form in ["cluster", "namespaces", "keyless", "canary"] {
            let mut left = unused(cluster, form);
            // The fallback where a server refuses to stream (controller/tests/watch_survives_its_server.rs); this one does not.
            left.retain(|words| !words.starts_with("list ") || words == "list configmaps");
            // A patch that makes an object is noted as a patch, and asks for both verbs: see the test below.
            assert!(left.remove("create configmaps"), "{form}");
            if form == "keyless" {
                // Its ledger was never large.
                assert!(left.remove("delete configmaps"), "{form}");
            } else {
                left.remove("create leases");
            }
            assert!(left.is_empty(), "{form}: granted and not used: {left:?}");
        }
    });
}

#[test]
fn any_one_rule_less_is_named() {
    alone("chartlacks", |cluster| {
        for form in ["cluster", "keyless"] {
            let stage = Stage::set(cluster, form);
            // Not stored: a reason to ask what cert-manager may do.
            stage.sign(2);
            let lacking: Vec<(Value, Controller)> = stage
                .release("cd")
                .rules()
                .into_iter()
                .enumerate()
                .map(|(n, (role, rule))| {
                    let mut release = stage.release(&format!("no-{n}-x"));
                    let taken = release.rbac[role]["rules"].as_array_mut().unwrap().remove(rule);
                    (taken, release.start())
                })
                .collect();
            assert!(lacking.len() >= 4, "{form}");
            for (taken, controller) in &lacking {
                let named = |log: &str| {
                    words(taken).iter().any(|words| {
                        let (verb, kind) = words.split_once(' ').unwrap();
                        log.contains(&format!("cannot {verb} resource \\\"{kind}\\\""))
                    })
                };
                wait::until("it to be named", PATIENCE, || {
                    let log = controller.log();
                    if named(&log) { Ok(()) } else { Err(format!("{form}: {taken}\n{log}")) }
                });
            }
        }
    });
}

#[test]
fn without_the_verb_create_no_ledger_is_made_and_that_is_named() {
    alone("chartmakes", |cluster| {
        let stage = Stage::set(cluster, "namespaces");
        let mut release = stage.release("cd");
        for (role, rule) in release.rules() {
            let rule = &mut release.rbac[role]["rules"][rule];
            if rule["resources"] == json!(["configmaps"]) {
                rule["verbs"].as_array_mut().unwrap().retain(|verb| verb != "create");
            }
        }
        let controller = release.start();
        wait::until("it to be named", PATIENCE, || {
            let log = controller.log();
            if log.contains("cannot create resource \\\"configmaps\\\"") { Ok(()) } else { Err(log) }
        });
    });
}
