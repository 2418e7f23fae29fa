//! The chart: what it renders is what the controller takes and what the API server takes, its roles are those of
//! docs/permissions.md, wrong values are refused with the place that is to blame, and installed in a real cluster it runs.
mod canary;
#[path = "../cluster/mod.rs"]
#[expect(dead_code, reason = "shared by several tests")]
mod cluster;
mod least_privilege;

use certdrift_cluster::Cluster;
use certdrift_cluster::image::Picture;
use certdrift_tests::program::run;
use certdrift_tests::wait;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use xtask::tools::{self, Tool};
use xtask::workspace;

const CERTDRIFT: &str = env!("CARGO_BIN_EXE_certdrift-under-test");
const PATIENCE: Duration = Duration::from_secs(120);

fn chart() -> PathBuf {
    workspace::root().join("deploy/chart")
}

fn here(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster_chart_installs").join(folder);
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    all.sort();
    all
}

/// What helm prints for these values; or what it says against them.
fn template(values: &Path) -> Result<String, String> {
    helm(&chart(), &["template", "cd", "."], "own", values)
}

/// Without what is there only while `helm test` runs.
fn rendered(release: &str, namespace: &str, values: &Path) -> Result<String, String> {
    helm(&chart(), &["template", release, ".", "--skip-tests"], namespace, values)
}

/// Runs helm in the chart's folder, or in that of a copy.
fn helm(chart: &Path, arguments: &[&str], namespace: &str, values: &Path) -> Result<String, String> {
    let mut helm = Command::new(tools::find(Tool::Helm).unwrap());
    helm.current_dir(chart).args(arguments).args(["--namespace", namespace, "--values"]).arg(values);
    let said = helm.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr) + &text(&said.stdout)) }
}

/// Compares with what is kept, or keeps it when asked to.
fn kept(file: &Path, text: &str) {
    if std::env::var_os("CERTDRIFT_WRITE").is_some() {
        std::fs::write(file, text).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        kept == text,
        "{} is stale; write it with: CERTDRIFT_WRITE=1 cargo test --workspace --test cluster_chart_installs kept\n{text}",
        file.display()
    );
}

fn objects(rendered: &str) -> Vec<Value> {
    let documents =
        rendered.split("\n---\n").filter(|d| d.lines().any(|l| !l.is_empty() && !l.starts_with(['#', '-'])));
    documents.map(|d| serde_saphyr::from_str(d).unwrap_or_else(|e| panic!("{e}\n{d}"))).collect()
}

fn good() -> Vec<(String, String)> {
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    here("good").iter().map(|path| (name(path), template(path).unwrap())).collect()
}

/// `cluster list secrets`, for each verb on each kind; the place is `cluster` or a namespace.
fn granted(rendered: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for object in objects(rendered) {
        let place = match object["kind"].as_str().unwrap() {
            "ClusterRole" => "cluster",
            "Role" => object["metadata"]["namespace"].as_str().unwrap(),
            _ => continue,
        };
        for rule in object["rules"].as_array().unwrap() {
            let strings = |key: &str| -> Vec<String> {
                rule[key].as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect()
            };
            for group in strings("apiGroups") {
                for kind in strings("resources") {
                    all.extend(strings("verbs").iter().map(|verb| format!("{place} {verb} {group}/{kind}")));
                }
            }
        }
    }
    all
}

/// The rows of docs/permissions.md as [`granted`] gives them; `reach` and `gateway` are where those words mean.
fn table(reach: &str, without: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let page = std::fs::read_to_string(workspace::root().join("docs/permissions.md")).unwrap();
    let mut all = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [needed_by, place, group, kinds, verbs] = cells[..] else { panic!("five cells: {line}") };
        if without(needed_by) {
            continue;
        }
        let places: &[&str] = match place {
            "own" => &["own"],
            "gateway" => &["GATEWAY"],
            "reach" => &[reach],
            "reach and gateway" if reach == "cluster" => &[reach],
            "reach and gateway" => &[reach, "GATEWAY"],
            "cluster" => &["cluster"],
            "canary" => &["REACH"],
            other => panic!("{other} is no place"),
        };
        let group = if group == "core" { "" } else { group };
        for place in places {
            for kind in kinds.split(' ') {
                all.extend(verbs.split(' ').map(|verb| format!("{place} {verb} {group}/{kind}")));
            }
        }
    }
    all
}

#[test]
fn the_roles_grant_what_the_permissions_page_says_and_no_verb_more() {
    let all = good();
    let of = |name: &str| granted(&all.iter().find(|(n, _)| n == name).unwrap().1);
    let heals = |needed_by: &str| needed_by.contains("among the remedies");
    let rotates = |needed_by: &str| needed_by.contains("`canary`");
    assert_eq!(of("cluster"), table("cluster", |by| heals(by) || rotates(by)));
    assert_eq!(of("namespaces"), table("REACH", |by| heals(by) || rotates(by)));
    let own_issuer = |needed_by: &str| needed_by.contains("ClusterIssuer");
    assert_eq!(of("canary"), table("REACH", |by| heals(by) || own_issuer(by)));
    let cluster_issuer = table("REACH", |by| !own_issuer(by));
    assert!(cluster_issuer.len() == 1 && cluster_issuer.is_subset(&of("everything")));
    let healing = table("REACH", |needed_by| !heals(needed_by));
    assert_eq!(healing.len(), 11, "{healing:#?}");
    assert!(healing.is_subset(&of("everything")), "{:#?}", of("everything"));
    let keyless = table("cluster", |needed_by| {
        [
            "leader_election",
            "ingress_controller",
            "remedies",
            "reach: cluster",
            "gateway_api",
            "events",
            "reviews",
            "pods",
            "canary",
        ]
        .iter()
        .any(|w| needed_by.contains(w))
    });
    assert_eq!(of("keyless"), keyless);
    let rules = &all.iter().find(|(n, _)| n == "keyless").unwrap().1;
    assert!(
        !objects(rules).iter().any(|o| o["rules"].to_string().contains("secrets")),
        "keyless names no Secrets"
    );
}

#[test]
fn the_configuration_is_one_that_the_controller_takes() {
    for (name, rendered) in good() {
        let map = objects(&rendered).into_iter().find(|o| o["kind"] == "ConfigMap").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "a-token-of-more-than-sixteen-characters").unwrap();
        let text = map["data"]["certdrift.yaml"].as_str().unwrap();
        let text = text
            .replace("/etc/certdrift/token/token", &token.display().to_string())
            .replace("GATEWAY", "kong");
        let file = folder.path().join("certdrift.yaml");
        std::fs::write(&file, text.replace("REACH", "demo")).unwrap();
        let ran = run(CERTDRIFT, &["config", "check", "--config", &file.display().to_string()]);
        assert_eq!(ran.code, Some(0), "{name}: {ran:?}\n{text}");
    }
}

#[test]
fn wrong_values_are_refused_and_the_place_is_blamed() {
    for path in here("bad") {
        let text = std::fs::read_to_string(&path).unwrap();
        let blamed = text.lines().next().unwrap().trim_start_matches("# ");
        let said = template(&path).expect_err(&path.display().to_string());
        assert!(said.contains(blamed), "{}: {blamed}\n{said}", path.display());
    }
}

#[test]
fn the_plain_manifests_are_kept_as_the_chart_renders_them() {
    let folder = workspace::root().join("deploy/manifests");
    let text = rendered("certdrift", "certdrift", &folder.join("values.yaml")).unwrap();
    kept(&folder.join("certdrift.yaml"), &text);
}

#[test]
fn every_form_is_kept_as_it_was_rendered_last() {
    for (name, rendered) in good() {
        // The one thing that is made at random.
        let line = |line: &str| match line.strip_prefix("  token: ") {
            Some(_) => "  token: RANDOM\n".to_owned(),
            None => format!("{line}\n"),
        };
        let text: String = rendered.lines().map(line).collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster_chart_installs/kept");
        kept(&folder.join(format!("{name}.yaml")), &text);
    }
}

#[test]
fn helm_lint_has_nothing_against_any_form() {
    for values in here("good") {
        helm(&chart(), &["lint", "--strict", "."], "own", &values).unwrap();
    }
}

#[test]
fn the_filter_is_in_a_config_map_byte_for_byte() {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("chart");
    workspace::output(Command::new("cp").arg("-r").arg(chart()).arg(&copy)).unwrap();
    // Not a text: neither helm nor YAML may touch it.
    let bytes: Vec<u8> = (0..120_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    std::fs::write(copy.join("files/certdrift.wasm"), &bytes).unwrap();
    std::fs::write(copy.join("files/certdrift.meta.json"), "{\"a\": \"b\"}\n").unwrap();
    let values = here("good").remove(0);
    let text =
        helm(&copy, &["template", "cd", ".", "--set", "filter.configMap=true"], "own", &values).unwrap();
    let map = objects(&text).into_iter().find(|o| o["metadata"]["name"] == "cd-certdrift-filter").unwrap();
    assert_eq!(map["metadata"]["namespace"], "GATEWAY", "where the gateway's pods can mount it");
    let held = base64::engine::general_purpose::STANDARD
        .decode(map["binaryData"]["certdrift.wasm"].as_str().unwrap())
        .unwrap();
    assert!(held == bytes, "{} bytes", held.len());
    assert_eq!(map["data"]["certdrift.meta.json"], "{\"a\": \"b\"}\n");
}

#[test]
fn every_form_is_taken_by_the_api_server_as_it_is() {
    let cluster = Cluster::api_only().unwrap();
    cluster.cert_manager_crds().unwrap();
    cluster.prometheus_operator_crds().unwrap();
    cluster.gateway_api_crds().unwrap();
    let [own, gateway, reach] =
        ["chart-own", "chart-gateway", "chart-reach"].map(|n| cluster.namespace(n).unwrap());
    // The pod of `helm test` wants the account to be there before it; the test below runs it.
    for path in here("good") {
        let (name, rendered) = (path.display(), rendered("cd", "own", &path).unwrap());
        let rendered = rendered
            .replace("namespace: own", &format!("namespace: {}", own.name()))
            .replace("GATEWAY", gateway.name())
            .replace("REACH", reach.name());
        let arguments = ["apply", "--dry-run=server", "--validate=strict", "--filename=-"];
        cluster.kubectl_with(&arguments, &rendered).unwrap_or_else(|e| panic!("{name}: {e:#}\n{rendered}"));
    }
}

#[test]
fn installed_it_is_ready_by_the_kubelets_word_and_refused_nothing() {
    let cluster = Cluster::shared().unwrap();
    cluster.cert_manager().unwrap();
    cluster.gateway_api_crds().unwrap();
    let namespace = cluster.namespace("chart").unwrap();
    let n = namespace.name();
    // A pod that asks for more than the strictest standard allows is refused.
    cluster.kubectl(&["label", "namespace", n, "pod-security.kubernetes.io/enforce=restricted"]).unwrap();
    let image = cluster.image(Picture::Certdrift).unwrap();
    let (repository, tag) = image.rsplit_once(':').unwrap();
    let helm = |arguments: &[&str]| {
        let mut helm = cluster.command(tools::find(Tool::Helm).unwrap()).unwrap();
        helm.args(arguments).args(["--namespace", n]);
        workspace::output(&mut helm).unwrap_or_else(|e| panic!("helm {arguments:?}: {e:#}"))
    };
    let folder = tempfile::tempdir().unwrap();
    let values = folder.path().join("values.yaml");
    let text = format!(
        "reach: namespaces\nnamespaces: [{n}]\nimage: {{repository: {repository}, tag: {tag}, pullPolicy: Never}}\ngateways:\n- name: kong\n  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}, pods: {{labels: {{app: none}}}}}}\n"
    );
    std::fs::write(&values, &text).unwrap();
    let mark = cluster.audit_mark().unwrap();
    let (chart, values) = (chart().display().to_string(), values.display().to_string());
    helm(&["install", "cd", &chart, "--values", &values]);
    let deployment = "deployment/cd-certdrift";
    let available = |what: &str| {
        cluster.wait(n, deployment, "condition=Available", PATIENCE).unwrap_or_else(|e| {
            let pods = cluster.kubectl(&["describe", "pods", "-n", n]).unwrap_or_default();
            let log = cluster.kubectl(&["logs", "-n", n, deployment, "--tail=30"]).unwrap_or_default();
            panic!("{what}: {e:#}\n{pods}\n{log}")
        });
    };
    available("installed");
    wait::until("the ledger", PATIENCE, || cluster.get(n, "configmap/certdrift-ledger-kong").map(drop));
    // As the notes say. No pod serves here, so that it cannot say that all is well.
    let notes = helm(&["get", "notes", "cd"]);
    let look = notes
        .lines()
        .find_map(|line| line.trim().strip_prefix("kubectl "))
        .unwrap_or_else(|| panic!("{notes}"));
    let mut kubectl = cluster.command(tools::find(Tool::Kubectl).unwrap()).unwrap();
    let said = kubectl.args(look.split(' ')).output().unwrap();
    let shown = String::from_utf8_lossy(&said.stdout);
    // 0: all is well, 1: something is wrong, 2: it could not tell.
    assert!(shown.contains("kong") && matches!(said.status.code(), Some(0..=2)), "{look}: {said:?}");
    // No pod of the gateway is there, which is a warning.
    let tested = helm(&["test", "cd", "--logs", "--timeout", "120s"]);
    assert!(tested.contains("1 warning, 0 failed") && !tested.contains("could not"), "{tested}");
    assert!(cluster.get(n, "role/cd-certdrift-doctor").is_err(), "a right for the test only");
    let token = || cluster.get(n, "secret/cd-certdrift-token").unwrap()["data"]["token"].clone();
    let before = token();
    std::fs::write(&values, format!("{text}log: {{level: debug}}\n")).unwrap();
    helm(&["upgrade", "cd", &chart, "--values", &values]);
    cluster.kubectl(&["rollout", "status", "-n", n, deployment, "--timeout=120s"]).unwrap();
    available("upgraded");
    assert_eq!(token(), before, "an upgrade keeps the token: filters know it");
    helm(&["rollback", "cd", "1"]);
    cluster.kubectl(&["rollout", "status", "-n", n, deployment, "--timeout=120s"]).unwrap();
    let user = format!("system:serviceaccount:{n}:cd-certdrift");
    let asked = cluster.audit_since(mark).unwrap();
    let ours: Vec<_> = asked.iter().filter(|request| request.user() == user).collect();
    assert!(!ours.is_empty());
    let refused: Vec<_> = ours.iter().filter(|request| matches!(request.code(), 401 | 403)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    helm(&["uninstall", "cd", "--wait"]);
    let left = cluster
        .kubectl(&["get", "deployment,role,rolebinding,serviceaccount,service,pdb", "-n", n, "-o", "name"])
        .unwrap();
    assert!(!left.contains("certdrift"), "{left}");
    // What filters read stays for them, until it is taken away by hand: docs in the chart's README.
    cluster.get(n, "configmap/certdrift-ledger-kong").unwrap();
}
