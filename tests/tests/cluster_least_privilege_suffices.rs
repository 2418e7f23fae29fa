//! The controller as an account that may do what docs/permissions.md lists, and nothing else: it is
//! never refused anything. One that lacks a rule says which.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::Cluster;
use certdrift_contract::Fingerprint;
use certdrift_tests::controller::{Controller, PATIENCE};
use certdrift_tests::wait;
use cluster::account::{Account, Row, rows};
use cluster::{ingress, inside, published, secret};
use std::collections::BTreeSet;

/// Asked only in trouble: once a certificate was signed and not stored.
fn is_for_trouble(row: &Row) -> bool {
    row.group == "authorization.k8s.io"
}

/// A controller that is this account and uses every feature; Lease and gateway are called like the account.
fn start(account: &Account<'_>) -> Controller {
    let Account { namespace: n, name, .. } = account;
    let sections = format!(
        "kubernetes: {{kubeconfig: {}, namespace: {n}, reach: namespaces, namespaces: [{n}], lease: {name}}}",
        account.kubeconfig().display()
    );
    let bindings = "kong_ingress: {}, gateway_api: {controller: a/b, dialect: standard}, secrets: any";
    let gateway = format!(
        "- name: {name}\n  kubernetes: {{namespace: {n}, bindings: {{{bindings}}}, pods: {{service: kong}}, ingress_controller: {{metrics: {{labels: {{app: kic}}}}}}}}\n"
    );
    Controller::start_with(&sections, &gateway).unwrap()
}

/// A bound Secret, and an Ingress that lacks one: something to publish, and something to tell. Gives the fingerprint.
fn objects(cluster: &Cluster, n: &str) -> Fingerprint {
    let (object, leaf) = secret(n, "s", "x.example");
    cluster.apply(&object).unwrap();
    cluster.apply(&ingress(n, "x.example", "s")).unwrap();
    let lacking = ingress(n, "y.example", "none").replace(r#""name":"i""#, r#""name":"lacking""#);
    cluster.apply(&lacking).unwrap();
    leaf
}

#[test]
fn an_account_with_no_more_than_its_features_need_is_refused_nothing() {
    inside(|cluster| {
        let namespace = cluster.namespace("least").unwrap();
        let n = namespace.name();
        let leaf = objects(&cluster, n);
        let account = Account::new(&cluster, n, "certdrift", &rows(false));
        let mark = cluster.audit_mark().unwrap();
        let controller = start(&account);
        wait::until("the ConfigMap", PATIENCE, || match published(&cluster, n, "certdrift") {
            Ok(ledger) if ledger.current("x.example") == [leaf] => Ok(()),
            other => Err(format!("{other:#?}\n{}", controller.log())),
        });
        cluster.kubectl(&["delete", "configmap", "certdrift-ledger-certdrift", "-n", n]).unwrap();
        wait::until("an Event on the Ingress", PATIENCE, || {
            let events =
                cluster.kubectl(&["get", "events", "-n", n, "-o", "wide"]).map_err(|e| e.to_string())?;
            let told = events.contains("CD-152") && events.contains("ingress/lacking");
            if told { Ok(()) } else { Err(format!("{events}\n{}", controller.log())) }
        });
        published(&cluster, n, "certdrift").unwrap();
        let asked = cluster.audit_since(mark).unwrap();
        let asked: Vec<_> = asked.into_iter().filter(|r| r.user() == account.user()).collect();
        let refused: Vec<_> = asked.iter().filter(|r| matches!(r.code(), 401 | 403)).collect();
        assert!(refused.is_empty(), "{refused:#?}\n{}", controller.log());
        let used: BTreeSet<String> =
            asked.iter().map(|r| format!("{} {}", r.verb, r.object.resource)).collect();
        for row in rows(false).iter().filter(|row| !is_for_trouble(row)) {
            for kind in &row.kinds {
                let is_used = row.verbs.iter().any(|verb| used.contains(&format!("{verb} {kind}")));
                assert!(is_used, "{kind} is granted and not used: {used:#?}");
            }
        }
    });
}

#[test]
fn a_rule_that_is_taken_away_is_named() {
    inside(|cluster| {
        let namespace = cluster.namespace("lacks").unwrap();
        let n = namespace.name();
        objects(&cluster, n);
        let all = rows(false);
        let mut known = BTreeSet::new();
        // Each of them lacks one kind, whatever grants it.
        let lacking: Vec<(&Row, Account<'_>, Controller)> = all
            .iter()
            .filter(|row| !is_for_trouble(row) && known.insert((&row.group, &row.kinds)))
            .enumerate()
            .map(|(number, row)| {
                let same = |other: &&Row| (&other.group, &other.kinds) == (&row.group, &row.kinds);
                let rest: Vec<Row> = all.iter().filter(|other| !same(other)).cloned().collect();
                let account = Account::new(&cluster, n, &format!("no-{number}-{}", row.kinds[0]), &rest);
                let controller = start(&account);
                (row, account, controller)
            })
            .collect();
        for (row, _, controller) in &lacking {
            let named = format!("resource \\\"{}\\\" in API group \\\"{}\\\"", row.kinds[0], row.group);
            wait::until("it to be named", PATIENCE, || {
                let log = controller.log();
                if log.contains("cannot ") && log.contains(&named) {
                    Ok(())
                } else {
                    Err(format!("{named}\n{log}"))
                }
            });
        }
    });
}
