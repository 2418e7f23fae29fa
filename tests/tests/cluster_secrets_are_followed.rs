//! Against a real API server: Secrets, Ingresses and requests become a binding, by a stream, with no more than is allowed.
use certdrift::binding::assemble::{Assembled, Memory, Rules};
use certdrift::binding::kong_ingress;
use certdrift::clock;
use certdrift::cluster::ObjectName;
use certdrift::cluster::watch::machine::Pace;
use certdrift::cluster::watches::{Needs, Watches};
use certdrift::source::kubernetes::Reach;
use certdrift::source::kubernetes::secret::Selection;
use certdrift_cluster::{Cluster, Kind, Own};
use certdrift_contract::Fingerprint;
use rcgen::{CertificateParams, KeyPair};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A certificate for a host, as PEM, its key, and its fingerprint.
fn made(host: &str) -> (String, String, Fingerprint) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem(), Fingerprint::of(certificate.der()))
}

fn secret(namespace: &str, name: &str, kind: &str, host: &str) -> (String, Fingerprint) {
    let (certificate, key, leaf) = made(host);
    let object = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "type": kind,
        "metadata": {"name": name, "namespace": namespace}, "stringData": {"tls.crt": certificate, "tls.key": key}});
    (object.to_string(), leaf)
}

fn ingress(namespace: &str, host: &str, secret: &str) -> String {
    serde_json::json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i", "namespace": namespace},
        "spec": {"ingressClassName": "kong", "tls": [{"hosts": [host], "secretName": secret}],
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}})
    .to_string()
}

/// What a controller watches, as this user (a member of these groups).
struct Follower {
    watches: Watches,
    memory: Memory,
    rules: Rules,
}

impl Follower {
    async fn begin(cluster: &Cluster, user: &str, groups: &[&str], reach: Reach, namespace: &str) -> Self {
        let read = kube::config::Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(read, &options).await.unwrap();
        config.headers.push(("impersonate-user".parse().unwrap(), user.parse().unwrap()));
        for group in groups {
            config.headers.push(("impersonate-group".parse().unwrap(), group.parse().unwrap()));
        }
        let client = certdrift::cluster::connect::from(config).unwrap();
        let needs = Needs {
            reach,
            selection: Selection::default(),
            ingresses: true,
            gateway_api: false,
            listener_sets: false,
            pods: Vec::new(),
            pushed_from: std::collections::BTreeSet::new(),
        };
        let kong = kong_ingress::Rules { namespaces: [namespace.to_owned()].into(), ..Default::default() };
        let rules = Rules { kong_ingress: Some(kong), ..Rules::default() };
        Self { watches: Watches::begin(client, &needs, Pace::default()), memory: Memory::default(), rules }
    }

    /// Waits until what is bound is as it should be.
    async fn until(&mut self, what: &str, is: impl Fn(&Assembled) -> bool) -> Assembled {
        let mut changes = self.watches.changes();
        let mut last = Assembled::default();
        let reached = async {
            loop {
                last = self.watches.assemble(&self.rules, &mut self.memory, clock::now().seconds());
                if is(&last) {
                    return;
                }
                changes.changed().await.unwrap();
            }
        };
        let ended = clock::timeout(PATIENCE, reached).await.is_ok();
        assert!(ended, "waited {PATIENCE:?} for {what}; last seen: {last:#?}");
        last
    }
}

/// The leaf that is expected of a host.
fn expected(seen: &Assembled, host: &str) -> Option<Fingerprint> {
    let entry = seen.binding.entries.iter().find(|e| e.hosts.iter().any(|h| h.as_str() == host))?;
    Some(entry.certificates.first()?.leaf)
}

/// Runs a test inside of the network of the cluster that all tests share.
fn inside<F: Future<Output = ()>>(test: impl FnOnce(Cluster) -> F + Send + 'static) {
    inside_of(Cluster::api_only().unwrap(), test);
}

/// Runs a test inside of a cluster's network.
fn inside_of<F: Future<Output = ()>>(cluster: Cluster, test: impl FnOnce(Cluster) -> F + Send + 'static) {
    std::thread::spawn(move || {
        cluster.enter().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(cluster));
    })
    .join()
    .unwrap();
}

#[test]
fn a_secret_is_bound_renewed_taken_away_and_brought_back() {
    inside(|cluster| async move {
        let namespace = cluster.namespace("followed").unwrap();
        let n = namespace.name();
        let (first, old) = secret(n, "s", "kubernetes.io/tls", "x.example");
        cluster.apply(&first).unwrap();
        cluster.apply(&secret(n, "other", "Opaque", "x.example").0).unwrap();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let user = format!("follower-{n}");
        let mark = cluster.audit_mark().unwrap();
        let mut follower = Follower::begin(&cluster, &user, &["system:masters"], Reach::Cluster, n).await;
        let seen = follower
            .until("the Secret", |a| a.inventory.complete && expected(a, "x.example") == Some(old))
            .await;
        assert_eq!(seen.binding.findings, [], "{seen:#?}");
        let (second, new) = secret(n, "s", "kubernetes.io/tls", "x.example");
        cluster.apply(&second).unwrap();
        follower.until("the renewal", |a| expected(a, "x.example") == Some(new)).await;
        cluster.kubectl(&["delete", "secret", "s", "--namespace", n]).unwrap();
        let gone =
            follower.until("the deletion", |a| a.inventory.findings.iter().any(|f| f.code == "CD-133")).await;
        assert_eq!(expected(&gone, "x.example"), Some(new), "for a minute");
        let (third, third_leaf) = secret(n, "s", "kubernetes.io/tls", "x.example");
        cluster.apply(&third).unwrap();
        follower.until("the new one", |a| expected(a, "x.example") == Some(third_leaf)).await;
        cluster.kubectl(&["delete", "ingress", "i", "--namespace", n]).unwrap();
        follower.until("the Ingress's end", |a| a.binding.entries.is_empty()).await;
        // One request a kind, and each a stream: nothing was listed.
        let asked: Vec<_> =
            cluster.audit_since(mark).unwrap().into_iter().filter(|r| r.user() == user).collect();
        let secrets: Vec<_> = asked.iter().filter(|r| r.object.resource == "secrets").collect();
        assert!(
            !secrets.is_empty() && secrets.iter().all(|r| r.uri.contains("sendInitialEvents=true")),
            "{secrets:#?}"
        );
        assert!(asked.iter().all(|r| r.verb == "watch"), "{asked:#?}");
    });
}

#[test]
fn a_thousand_secrets_come_as_a_stream() {
    inside(|cluster| async move {
        let namespace = cluster.namespace("many").unwrap();
        let n = namespace.name();
        let (one, leaf) = secret(n, "s", "kubernetes.io/tls", "x.example");
        let one: serde_json::Value = serde_json::from_str(&one).unwrap();
        let items: Vec<_> = (0..1_000)
            .map(|i| {
                let mut copy = one.clone();
                copy["metadata"]["name"] = format!("s{i}").into();
                copy
            })
            .collect();
        cluster
            .apply(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())
            .unwrap();
        cluster.apply(&ingress(n, "x.example", "s999")).unwrap();
        let mut follower =
            Follower::begin(&cluster, "many", &["system:masters"], Reach::Namespaces(vec![n.to_owned()]), n)
                .await;
        follower
            .until("the last of them", |a| a.inventory.complete && expected(a, "x.example") == Some(leaf))
            .await;
    });
}

#[test]
fn without_permission_the_kind_and_the_verb_are_told_and_nothing_is_missing() {
    inside(|cluster| async move {
        let namespace = cluster.namespace("forbidden").unwrap();
        let n = namespace.name();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let mut follower =
            Follower::begin(&cluster, "nobody", &[], Reach::Namespaces(vec![n.to_owned()]), n).await;
        let told = follower
            .until("the refusal", |a| {
                a.inventory.findings.iter().any(|f| f.code == "CD-130" && f.object.ends_with("/secrets"))
            })
            .await;
        let secrets = told.inventory.findings.iter().find(|f| f.object.ends_with("/secrets")).unwrap();
        assert!(secrets.why.contains("\"nobody\" cannot watch resource \"secrets\""), "{}", secrets.why);
        assert!(!told.inventory.complete && told.binding.findings.is_empty(), "{told:#?}");
    });
}

#[test]
fn keyless_never_asks_for_a_secret_and_knows_what_is_stored() {
    // One of its own, without cert-manager, which would issue what the test means to issue step by step.
    let own = Own::start("keyless", Kind::ApiOnly).unwrap();
    inside_of((*own).clone(), |cluster| async move {
        cluster.cert_manager_crds().unwrap();
        let namespace = cluster.namespace("keyless").unwrap();
        let n = namespace.name();
        cluster.apply(&ingress(n, "x.example", "web-tls")).unwrap();
        let certificate = serde_json::json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": "web", "namespace": n},
            "spec": {"secretName": "web-tls", "dnsNames": ["x.example"], "issuerRef": {"name": "ca"}}});
        cluster.apply(&certificate.to_string()).unwrap();
        let uid = cluster.get(n, "certificate/web").unwrap()["metadata"]["uid"].clone();
        let (pem, _, leaf) = made("x.example");
        let request = serde_json::json!({"apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
            "metadata": {"name": "web-1", "namespace": n, "annotations": {"cert-manager.io/certificate-revision": "1"},
                "ownerReferences": [{"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": "web", "uid": uid, "controller": true}]},
            "spec": {"request": "AAAA", "issuerRef": {"name": "ca"}}});
        cluster.apply(&request.to_string()).unwrap();
        let status = |object: &str, status: serde_json::Value| {
            let patch = serde_json::json!({"status": status}).to_string();
            cluster
                .kubectl(&[
                    "patch",
                    object,
                    "--namespace",
                    n,
                    "--subresource=status",
                    "--type=merge",
                    "--patch",
                    &patch,
                ])
                .unwrap();
        };
        let user = format!("keyless-{n}");
        let mark = cluster.audit_mark().unwrap();
        let mut follower = Follower::begin(&cluster, &user, &["system:masters"], Reach::Keyless, n).await;
        follower.until("the first look", |a| a.inventory.complete).await;
        let signed = base64(&pem);
        status(
            "certificaterequest/web-1",
            serde_json::json!({"certificate": signed, "conditions": [
            {"type": "Ready", "status": "True", "reason": "Issued", "message": "", "lastTransitionTime": "2026-11-24T00:00:00Z"}]}),
        );
        let before = follower
            .until("the request", |a| a.inventory.held.contains(&ObjectName::new(n, "web-tls").to_string()))
            .await;
        assert_eq!(expected(&before, "x.example"), None, "signed, and not stored");
        status("certificate/web", serde_json::json!({"revision": 1}));
        follower.until("the revision", |a| expected(a, "x.example") == Some(leaf)).await;
        let asked = cluster.audit_since(mark).unwrap();
        let mine: Vec<_> = asked.iter().filter(|r| r.user() == user).collect();
        assert!(!mine.is_empty() && mine.iter().all(|r| r.object.resource != "secrets"), "{mine:#?}");
    });
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
