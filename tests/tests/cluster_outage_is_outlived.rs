//! The API server goes away and comes back: what is known is served and looked at meanwhile, and what has changed since
//! arrives.
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;

use certdrift_cluster::{Kind, Own};
use certdrift_tests::controller::PATIENCE;
use certdrift_tests::wait;
use cluster::{ingress, inside_of, published, secret, sections, start};

#[test]
fn an_api_server_that_goes_away_costs_nothing_that_is_known_and_a_renewal_after_it_arrives() {
    let own = Own::start("outage", Kind::ApiOnly).unwrap();
    inside_of((*own).clone(), |cluster| {
        let namespace = cluster.namespace("outage").unwrap();
        let n = namespace.name();
        let (first, old) = secret(n, "s", "x.example");
        cluster.apply(&first).unwrap();
        cluster.apply(&ingress(n, "x.example", "s")).unwrap();
        let controller = start(n, &sections(&cluster, n, ""));
        let before = wait::until("the ConfigMap", PATIENCE, || match published(&cluster, n, "kong") {
            Ok(ledger) if ledger.current("x.example") == [old] => Ok(ledger),
            other => Err(format!("{other:#?}\n{}", controller.log())),
        });
        cluster.hold("kube-apiserver").unwrap();
        // By then no watch and no Lease can be had.
        wait::until("the leader to step down", PATIENCE, || match controller.metric("certdrift_leader") {
            Ok(value) if value < 0.5 => Ok(()),
            other => Err(format!("{other:?}\n{}", controller.log())),
        });
        for path in ["/livez", "/readyz"] {
            assert_eq!(controller.get(path).unwrap().status, 200, "{path}: {}", controller.log());
        }
        assert_eq!(controller.get("/ledger/kong").unwrap().body, before.text);
        // One that starts meanwhile lives, is not ready, and catches up like the other.
        let late = start(n, &sections(&cluster, n, ""));
        assert_eq!(late.get("/readyz").unwrap().status, 503, "{}", late.log());
        cluster.release("kube-apiserver").unwrap();
        let (second, new) = secret(n, "s", "x.example");
        wait::until("the API server", PATIENCE, || cluster.apply(&second).map_err(|e| e.to_string()));
        let after = wait::until("the renewal", PATIENCE, || match published(&cluster, n, "kong") {
            Ok(ledger) if ledger.current("x.example") == [new] => Ok(ledger),
            other => Err(format!("{other:#?}\n{}\n{}", controller.log(), late.log())),
        });
        assert!(after.revision() > before.revision());
        assert_eq!(after.retiring("x.example"), [old], "it was not forgotten: {after:#?}");
        for replica in [&controller, &late] {
            wait::until("it to be served", PATIENCE, || match replica.get("/ledger/kong") {
                Ok(answer) if answer.body == after.text => Ok(()),
                other => Err(format!("{other:?}\n{}", replica.log())),
            });
            assert_eq!(replica.get("/readyz").unwrap().status, 200, "{}", replica.log());
        }
    });
}
