//! How long an audit of 1,000 certificates takes, by port-forward and from inside the cluster's network.
use super::cluster::{inside_of, secret};
use super::{CERTDRIFT, PATIENCE, pictures};
use certdrift_tests::program::run;
use certdrift_tests::wait;
use serde_json::{Value, json};
use std::time::Instant;

const CERTIFICATES: usize = 1_000;
/// Of one request of kubectl.
const AT_A_TIME: usize = 100;

fn objects(n: &str, of: std::ops::Range<usize>) -> Value {
    let items = of.flat_map(|i| {
        let (name, host) = (format!("s{i:04}"), format!("h{i:04}.example"));
        let (text, _) = secret(n, &name, &host);
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "namespace": n},
            "spec": {"ingressClassName": "kong", "tls": [{"hosts": [host], "secretName": name}],
                "defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}});
        [serde_json::from_str(&text).unwrap(), ingress]
    });
    json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<Value>>()})
}

#[test]
#[ignore = "makes a thousand certificates, to measure"]
fn a_thousand_certificates_on_two_pods() {
    let cluster = pictures();
    inside_of(cluster, |cluster| {
        let namespace = cluster.namespace("thousand").unwrap();
        let n = namespace.name();
        for from in (0..CERTIFICATES).step_by(AT_A_TIME) {
            cluster.apply(&objects(n, from..from + AT_A_TIME).to_string()).unwrap();
        }
        let kong = cluster.kong(n, n, 2).unwrap();
        kong.ready().unwrap();
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let audit = |more: &[&str]| {
            let mut arguments =
                vec!["audit", "--kubeconfig", &kubeconfig, "--namespace", n, "--within", n, "-o", "json"];
            arguments.extend(more);
            let begun = Instant::now();
            let ran = run(CERTDRIFT, &arguments);
            (begun.elapsed(), ran)
        };
        wait::until("every pod to have all", PATIENCE, || {
            let (_, ran) = audit(&["--direct"]);
            if ran.code == Some(0) { Ok(()) } else { Err(format!("{}\n{}", ran.stderr, kong.log())) }
        });
        for (way, more) in [("port-forward", &[][..]), ("direct", &["--direct"][..])] {
            for _ in 0..3 {
                let (took, ran) = audit(more);
                assert_eq!(ran.code, Some(0), "{ran:?}");
                let report = ran.json();
                assert_eq!(report["handshakes"], json!(2 * CERTIFICATES));
                let load = std::fs::read_to_string("/proc/loadavg").unwrap();
                eprintln!("{way}: {:.1} s; load {}", took.as_secs_f64(), load.trim());
            }
        }
    });
}
