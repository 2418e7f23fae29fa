//! Under the roles that the chart renders for a canary: it is rotated, and one rule less is named by the finding that says why not.
use super::{LONG, Release, Stage, alone, ready, words};
use certdrift_tests::controller::Controller;
use certdrift_tests::wait;
use serde_json::{Value, json};

impl Stage<'_> {
    /// A release's canary, as cert-manager leaves it when it has issued it for the first time.
    pub(super) fn canary(&self, release: &Release<'_>) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": release.canary});
        self.cluster.apply(&list.to_string()).unwrap();
        let name = format!("{}-certdrift-canary", release.name);
        let (pem, key) = self.sign_for(&name, &format!("c.{}.example", release.name), 1);
        self.store(&format!("{name}-tls"), &pem, &key);
        self.status(&format!("certificate/{name}"), &json!({"revision": 1, "conditions": [ready()]}));
    }
}

#[test]
fn any_rule_of_the_canary_less_is_named() {
    alone("chartrotates", |cluster| {
        let stage = Stage::set(cluster, "canary");
        let lacking: Vec<(Value, Controller)> = stage
            .release("cd")
            .rules()
            .into_iter()
            .enumerate()
            .filter_map(|(n, (role, rule))| {
                let mut release = stage.release(&format!("no-{n}-x"));
                let taken = release.rbac[role]["rules"].as_array_mut().unwrap().remove(rule);
                let is_its = taken["apiGroups"] == json!(["cert-manager.io"])
                    && !taken["verbs"].to_string().contains("list");
                is_its.then(|| {
                    stage.canary(&release);
                    (taken, release.start())
                })
            })
            .collect();
        assert_eq!(lacking.len(), 3, "get on its Certificate and on issuers, patch on its status");
        for (taken, controller) in &lacking {
            let all = words(taken);
            let (verb, kind) = all[0].split_once(' ').unwrap();
            wait::until("it to be named", LONG, || {
                let log = controller.log();
                let named =
                    log.contains("CD-571") && log.contains(&format!("cannot {verb} resource \\\"{kind}\\\""));
                if named { Ok(()) } else { Err(format!("{taken}\n{log}")) }
            });
        }
    });
}
