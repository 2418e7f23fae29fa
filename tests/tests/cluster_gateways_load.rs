//! Pods that take pushes as Kong does, and the stand-in for its ingress controller: what each has loaded is told, pod by
//! pod, beside what it serves. On a real node.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::GatewayPod;
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::kong::{HOST, LONG, Scene, configuration, on_a_node};
use cluster::{ingress, secret, sections};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn a_pod_that_misses_its_push_is_named_and_taken_back_once_it_has_it() {
    on_a_node("missed", |scene, old| {
        let pods = scene.pods();
        let [a, b] = &pods[..] else { panic!("{pods:?}") };
        // A change sooner after the first look may be the push that was seen in the other pod already.
        let set = Instant::now();
        wait::until("a first look long ago", PATIENCE, || match set.elapsed() {
            passed if passed > Duration::from_secs(17) => Ok(()),
            passed => Err(passed),
        });
        scene.kong.faults(&json!({"miss": [b.name]})).unwrap();
        let new = scene.renew();
        scene.until_served(&[new, old]);
        scene.until_told(&[("CD-321", b)]);
        let loaded = |gateway: &Value| -> Vec<String> {
            let all = gateway["endpoints"].as_array().into_iter().flatten();
            all.map(|endpoint| endpoint["loaded"]["state"].as_str().unwrap_or("?").to_owned()).collect()
        };
        let gateway = scene.gateway().unwrap();
        assert_eq!(loaded(&gateway), ["current", "behind"], "{}", a.name);
        assert_eq!(gateway["hosts"][0]["seen"][1]["cause"], "pod-behind", "{gateway:#}");
        wait::until("an Event on the pod", PATIENCE, || {
            let events = scene.cluster.kubectl(&["get", "events", "-n", scene.n(), "-o", "wide"]);
            let events = events.map_err(|e| e.to_string())?;
            let line = events.lines().find(|line| line.contains("CD-321"));
            if line.is_some_and(|line| line.contains(&b.name)) { Ok(()) } else { Err(events) }
        });
        scene.kong.faults(&json!({})).unwrap();
        scene.until_served(&[new, new]);
        scene.until_told(&[]);
    });
}

#[test]
fn a_pod_that_starts_and_stays_empty_is_named_until_an_object_changes() {
    on_a_node("empty", |scene, leaf| {
        // KIC's feature gate: nobody looks at the gateways as long as no object changes.
        scene.kong.faults(&json!({"fallback": true})).unwrap();
        wait::until("a pass without a change", PATIENCE, || {
            let metrics = scene.kong.metrics().map_err(|e| e.to_string())?;
            let skips = metrics.lines().any(|l| l.contains("cache_hit") && !l.ends_with(" 0"));
            if skips { Ok(()) } else { Err(metrics) }
        });
        let before = scene.pods();
        let gone = format!("pod/{}", before[0].name);
        scene.cluster.kubectl(&["delete", &gone, "-n", scene.n()]).unwrap();
        let new = wait::until("another in its place", PATIENCE, || {
            let now = scene.pods();
            now.iter().find(|pod| !before.contains(pod)).cloned().ok_or(now)
        });
        scene.until_told(&[("CD-320", &new)]);
        // Its placeholder is known for what it is.
        scene.until_seen(&new, HOST, "default");
        scene.until_caused(HOST, "pod-empty", &[&new]);
        scene.cluster.kubectl(&["annotate", "secret/s", "-n", scene.n(), "changed=1"]).unwrap();
        scene.until_told(&[]);
        scene.until_served(&[leaf, leaf]);
    });
}

#[test]
fn what_is_refused_leaves_the_old_certificate_served_and_told_on_every_pod() {
    on_a_node("refused", |scene, old| {
        // As one invalid KongPlugin anywhere does: nothing of the configuration arrives, on any pod.
        scene.kong.faults(&json!({"reject": format!("{}/i", scene.n())})).unwrap();
        scene.renew();
        wait::until("the refusal", PATIENCE, || {
            let metrics = scene.kong.metrics().map_err(|e| e.to_string())?;
            if metrics.contains("success=\"false\"") { Ok(()) } else { Err(metrics) }
        });
        wait::until("both pods to be told", LONG, || {
            let gateway = scene.gateway()?;
            let told = gateway["findings"].as_array().cloned().unwrap_or_default();
            let seen = gateway["hosts"][0]["seen"].as_array().cloned().unwrap_or_default();
            let drift = seen.iter().filter(|s| s["verdict"] == "drift" && s["class"] == "previous").count();
            if drift == 2 && told.iter().any(|f| f["code"] == "CD-401") {
                Ok(())
            } else {
                Err(format!("{gateway:#}"))
            }
        });
        scene.until_served(&[old, old]);
        let ready = scene.pods();
        assert_eq!(ready.len(), 2, "nobody was restarted");
        scene.until_caused(HOST, "push-failing", &ready.iter().collect::<Vec<_>>());
        let refusal = scene.finding("CD-322");
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        assert!(text(&refusal, "object").starts_with("KongPlugin "), "{refusal:#}");
        for part in ["HTTP status 400", "value must be greater than 0"] {
            assert!(text(&refusal, "why").contains(part), "{part}: {refusal:#}");
        }
        wait::until("who waits for it", PATIENCE, || {
            let refusal = scene.finding("CD-322");
            if text(&refusal, "why").contains("x.example waits for it") { Ok(()) } else { Err(refusal) }
        });
        assert!(text(&scene.finding("CD-401"), "mend").contains("CD-322"), "{:#}", scene.gateway().unwrap());
        // Where no Event tells of it (as with Kong's ingress controller from 3.4.0 on), its metrics do.
        let n = scene.n().to_owned();
        let gateway = configuration(&n, "{events: false, metrics: {labels: {app: kic}}}");
        let Scene { cluster, namespace, kong, controller } = scene;
        drop(controller);
        let controller = Controller::start_with(&sections(&cluster, &n, ""), &gateway).unwrap();
        let scene = Scene { cluster, namespace, kong, controller };
        scene.until_caused(HOST, "push-failing", &ready.iter().collect::<Vec<_>>());
        let refusal = scene.finding("CD-322");
        assert_eq!(text(&refusal, "object"), "gateway:kong", "{refusal:#}");
        scene.kong.faults(&json!({})).unwrap();
        let new = scene.renew();
        scene.until_served(&[new, new]);
        scene.until_told(&[]);
    });
}

#[test]
fn with_the_fallback_gate_the_sound_host_has_its_renewal_and_the_blamed_one_the_placeholder() {
    on_a_node("fallback", |scene, _| {
        let n = scene.n();
        let (object, _) = secret(n, "t", "y.example");
        scene.cluster.apply(&object).unwrap();
        let mut other: Value = serde_json::from_str(&ingress(n, "y.example", "t")).unwrap();
        other["metadata"]["name"] = json!("j");
        scene.cluster.apply(&other.to_string()).unwrap();
        scene.kong.faults(&json!({"reject": format!("{n}/j"), "fallback": true})).unwrap();
        let new = scene.renew();
        scene.until_served(&[new, new]);
        let pods = scene.pods();
        for pod in &pods {
            scene.until_seen(pod, "y.example", "default");
        }
        scene.until_caused("y.example", "fallback", &pods.iter().collect::<Vec<_>>());
        let told = scene.finding("CD-323");
        assert!(told["object"].as_str().is_some_and(|on| on.starts_with("KongPlugin ")), "{told:#}");
        let events = scene.cluster.kubectl(&["get", "events", "-n", n]).unwrap();
        assert!(events.contains("FallbackKongConfigurationSucceeded"), "{events}");
    });
}

/// Stops a pod's nginx without a word, or lets it go on; it is seen from outside of its namespaces, by its cgroup.
fn signal(scene: &Scene, pod: &GatewayPod, signal: &str) {
    let object = scene.cluster.get(scene.n(), &format!("pod/{}", pod.name)).unwrap();
    let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
    let mut found = 0;
    for process in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let read = |file: &str| std::fs::read_to_string(process.path().join(file)).unwrap_or_default();
        let group = read("cgroup").replace('_', "-");
        if group.contains(&uid) && read("comm").trim() == "nginx" {
            let pid = process.file_name().to_string_lossy().into_owned();
            let sent = std::process::Command::new("kill").args([signal, &pid]).status().unwrap();
            assert!(sent.success(), "{signal} {pid}");
            found += 1;
        }
    }
    assert!(found > 1, "{found} processes of {uid}");
}

#[test]
fn a_pod_that_hangs_is_named_for_what_its_fellow_waits_for() {
    on_a_node("hangs", |scene, old| {
        let pods = scene.pods();
        let [a, b] = &pods[..] else { panic!("{pods:?}") };
        signal(&scene, b, "-STOP");
        let new = scene.renew();
        scene.until_caused(HOST, "held-back", &[a]);
        let told = scene.finding("CD-324");
        assert_eq!(told["object"], format!("pod {}", scene.named(b)).as_str(), "{told:#}");
        let waits = scene.gateway().unwrap()["hosts"][0]["seen"][0]["waits"].clone();
        assert!(waits.as_str().is_some_and(|waits| waits.contains("set aside")), "{waits}");
        // After half a minute the ingress controller goes on without it.
        wait::until("the fellow to have it", LONG, || {
            let gateway = scene.gateway()?;
            let seen = gateway["hosts"][0]["seen"][0]["served"].clone();
            if seen == new.to_string() { Ok(()) } else { Err(format!("{gateway:#}\n{}", scene.kong.log())) }
        });
        signal(&scene, b, "-CONT");
        scene.until_served(&[new, new]);
        assert_ne!(old, new);
    });
}

#[test]
fn a_pod_that_is_behind_is_evicted_once_its_budget_allows_and_the_one_in_its_place_is_right() {
    on_a_node("evicted", |scene, old| {
        let n = scene.n().to_owned();
        let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": "kong", "namespace": n},
            "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "kong"}}}});
        scene.cluster.apply(&budget.to_string()).unwrap();
        let heal =
            "policy: {mode: heal, grace: 1s, min_interval: 1s, remedies: [{name: replace, evict: {}}]}";
        let heal = configuration(&n, "{metrics: {labels: {app: kic}}}").replace("policy: {grace: 1s}", heal);
        scene.controller.configure(&heal).unwrap();
        scene.controller.signal(rustix::process::Signal::HUP);
        scene.controller.until_metric(r#"certdrift_config_reloads_total{result="taken"}"#, 1.0);
        let pods = scene.pods();
        let [a, b] = &pods[..] else { panic!("{pods:?}") };
        scene.kong.faults(&json!({"miss": [b.name]})).unwrap();
        let mark = scene.cluster.audit_mark().unwrap();
        let new = scene.renew();
        scene.until_served(&[new, old]);
        let evictions = |code: u16| {
            let asked = scene.cluster.audit_since(mark).unwrap();
            let these =
                asked.iter().filter(|r| r.object.subresource == "eviction" && r.object.namespace == n);
            these.filter(|r| r.code() == code && r.object.name == b.name).count()
        };
        wait::until("the budget to refuse it", LONG, || match evictions(429) {
            0 => Err(format!("{:#}", scene.gateway()?)),
            _ => Ok(()),
        });
        assert_eq!(scene.pods(), pods, "nobody went");
        scene.cluster.kubectl(&["delete", "pdb/kong", "-n", &n]).unwrap();
        scene.until_served(&[new, new]);
        let now = scene.pods();
        assert!(now.contains(a) && !now.contains(b), "{now:?}");
        assert_eq!(evictions(201), 1);
        let ended = wait::until("the history", PATIENCE, || {
            let history = scene.gateway()?["history"].as_array().cloned().unwrap_or_default();
            let ended =
                history.iter().find(|record| record["what"] == "ended" && record["ok"] == true).cloned();
            ended.ok_or_else(|| format!("{history:#?}"))
        });
        assert!(ended["said"].as_str().is_some_and(|said| said.contains("is evicted")), "{ended:#}");
        scene.until_told(&[]);
    });
}
