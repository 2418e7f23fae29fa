//! cert-manager is not there when certdrift starts: nothing is wrong, next to nothing is asked, and once it comes its
//! objects are seen.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::{Kind, Own};
use certdrift_tests::controller::PATIENCE;
use certdrift_tests::wait;
use cluster::{ingress, inside_of, renewed, sections, start, until_published};
use std::time::{Duration, Instant};

const KINDS: [(&str, &str); 2] =
    [("certificates", "Certificate"), ("certificaterequests", "CertificateRequest")];

/// The list of kinds is looked at every 30 s.
const SEEN: Duration = Duration::from_secs(45);

fn definition(plural: &str, kind: &str) -> String {
    let schema = serde_json::json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    serde_json::json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.cert-manager.io"), "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}},
        "spec": {"group": "cert-manager.io", "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}})
    .to_string()
}

#[test]
fn a_kind_that_is_missing_costs_two_requests_a_minute_and_is_seen_soon_after_it_comes() {
    let own = Own::start("kinds", Kind::ApiOnly).unwrap();
    inside_of((*own).clone(), |cluster| {
        let namespace = cluster.namespace("kinds").unwrap();
        let n = namespace.name();
        let leaf = renewed(&cluster, n);
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let start_of_all = cluster.audit_mark().unwrap();
        let controller = start(n, &sections(&cluster, n, ""));
        until_published(&cluster, n, leaf, PATIENCE, &controller);
        let asked = |mark| -> Vec<(String, u16)> {
            let all = cluster.audit_since(mark).unwrap();
            let ours = all.into_iter().filter(|r| r.user_agent.starts_with("certdrift/"));
            // A watch is noted when it begins and when it ends, one that is refused too.
            let once = ours.filter(|r| r.stage == "ResponseComplete" || r.code() == 200);
            let idle = once.filter(|r| r.object.resource != "leases");
            idle.map(|r| (r.uri.split('?').next().unwrap_or_default().to_owned(), r.code())).collect()
        };
        // The first look at the list is followed by one more look for the kinds.
        let missing = |plural: &str| format!("/apis/cert-manager.io/v1/namespaces/{n}/{plural}");
        wait::until("both to be looked for twice", SEEN, || {
            let asked = asked(start_of_all);
            let twice = |plural: &str| {
                asked.iter().filter(|(uri, code)| *uri == missing(plural) && *code == 404).count() == 2
            };
            if KINDS.iter().all(|(plural, _)| twice(plural)) { Ok(()) } else { Err(asked) }
        });
        let (idle, began) = (cluster.audit_mark().unwrap(), Instant::now());
        wait::until("some time to pass", PATIENCE, || {
            if began.elapsed() >= Duration::from_secs(35) { Ok(()) } else { Err(()) }
        });
        let at_idle = asked(idle);
        assert!(
            (1..=2).contains(&at_idle.len())
                && at_idle.iter().all(|(uri, code)| uri == "/apis" && *code == 304),
            "{at_idle:#?}"
        );
        for (plural, kind) in KINDS {
            cluster.apply(&definition(plural, kind)).unwrap();
        }
        let come = cluster.audit_mark().unwrap();
        wait::until("both to be watched", SEEN, || {
            let asked = asked(come);
            let watched = |plural: &str| asked.contains(&(missing(plural), 200));
            if KINDS.iter().all(|(plural, _)| watched(plural)) { Ok(()) } else { Err(asked) }
        });
    });
}
