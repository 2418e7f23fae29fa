//! A gateway of two pods that take pushes as Kong does, the stand-in for its ingress controller, and a controller beside them.
use super::{ingress, inside_of, secret, sections};
use certdrift_cluster::image::Picture;
use certdrift_cluster::{Cluster, GatewayPod, Kong};
use certdrift_contract::Fingerprint;
use certdrift_harness::controller::Controller;
use certdrift_harness::wait;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) const HOST: &str = "x.example";
/// A pod counts as behind 15 s after its fellows, as empty 30 s after its start.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// A gateway of two pods that serve `HOST` from the Secret `s`, and a controller that looks at them.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: certdrift_cluster::Namespace,
    pub(crate) kong: Kong,
    pub(crate) controller: Controller,
}

impl Scene {
    fn set(cluster: Cluster, prefix: &str) -> (Self, Fingerprint) {
        let namespace = cluster.namespace(prefix).unwrap();
        let n = namespace.name();
        let (object, leaf) = secret(n, "s", HOST);
        cluster.apply(&object).unwrap();
        cluster.apply(&ingress(n, HOST, "s")).unwrap();
        cluster.apply(&token(n)).unwrap();
        let kong = cluster.kong(n, n, 2).unwrap();
        kong.ready().unwrap();
        let gateway = configuration(n, "{metrics: {labels: {app: kic}}}");
        let controller = Controller::start_with(&sections(&cluster, n, ""), &gateway).unwrap();
        let scene = Self { cluster, namespace, kong, controller };
        scene.until_served(&[leaf, leaf]);
        (scene, leaf)
    }

    pub(crate) fn n(&self) -> &str {
        self.namespace.name()
    }

    pub(crate) fn pods(&self) -> Vec<GatewayPod> {
        self.kong.pods().unwrap()
    }

    pub(crate) fn renew(&self) -> Fingerprint {
        let (object, leaf) = secret(self.n(), "s", HOST);
        self.cluster.apply(&object).unwrap();
        leaf
    }

    pub(crate) fn gateway(&self) -> Result<Value, String> {
        let (_, state) = self.controller.status().map_err(|e| format!("{e:#}\n{}", self.controller.log()))?;
        Ok(state["gateways"][0].clone())
    }

    /// Waits until the pods, by name, are seen to serve these.
    #[track_caller]
    pub(crate) fn until_served(&self, wanted: &[Fingerprint]) {
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        wait::until("the pods to serve it", LONG, || {
            let gateway = self.gateway()?;
            let seen = gateway["hosts"][0]["seen"].as_array().cloned().unwrap_or_default();
            let served: Vec<&str> = seen.iter().filter_map(|seen| seen["served"].as_str()).collect();
            if served == wanted { Ok(()) } else { Err(format!("{gateway:#}\n{}", self.kong.log())) }
        });
    }

    /// Waits until a pod is seen to serve a host wrongly: with a certificate of this class.
    #[track_caller]
    pub(crate) fn until_seen(&self, pod: &GatewayPod, host: &str, class: &str) {
        let endpoint = format!("{}/{}", self.n(), pod.name);
        wait::until("the class", LONG, || {
            let gateway = self.gateway()?;
            let hosts = gateway["hosts"].as_array().into_iter().flatten();
            let mut of_host =
                hosts.filter(|h| h["host"] == host).filter_map(|h| h["seen"].as_array()).flatten();
            let seen = of_host.find(|seen| seen["endpoint"] == endpoint.as_str());
            if seen.is_some_and(|seen| seen["class"] == class) { Ok(()) } else { Err(format!("{gateway:#}")) }
        });
    }

    /// Waits until a drift of this host is seen on exactly these pods to have this cause.
    #[track_caller]
    pub(crate) fn until_caused(&self, host: &str, cause: &str, pods: &[&GatewayPod]) {
        let mut wanted: Vec<String> = pods.iter().map(|pod| self.named(pod)).collect();
        wanted.sort();
        wait::until("the cause", LONG, || {
            let gateway = self.gateway()?;
            let hosts = gateway["hosts"].as_array().into_iter().flatten();
            let of_host = hosts.filter(|h| h["host"] == host).filter_map(|h| h["seen"].as_array()).flatten();
            let these = of_host.filter(|seen| seen["verdict"] == "drift" && seen["cause"] == cause);
            let mut these: Vec<&str> = these.filter_map(|seen| seen["endpoint"].as_str()).collect();
            these.sort_unstable();
            if these == wanted { Ok(()) } else { Err(format!("{gateway:#}\n{}", self.kong.log())) }
        });
    }

    /// As an endpoint is called.
    pub(crate) fn named(&self, pod: &GatewayPod) -> String {
        format!("{}/{}", self.n(), pod.name)
    }

    /// The finding with this code, once it is told.
    #[track_caller]
    pub(crate) fn finding(&self, code: &str) -> Value {
        wait::until("the finding", LONG, || {
            let gateway = self.gateway()?;
            let all = gateway["findings"].as_array().cloned().unwrap_or_default();
            all.into_iter().find(|f| f["code"] == code).ok_or_else(|| format!("{gateway:#}"))
        })
    }

    /// Waits until exactly these findings about what is loaded are told: code and pod.
    #[track_caller]
    pub(crate) fn until_told(&self, wanted: &[(&str, &GatewayPod)]) {
        let wanted: Vec<(String, String)> =
            wanted.iter().map(|(code, pod)| ((*code).to_owned(), self.named(pod))).collect();
        wait::until("it to be told", LONG, || {
            let gateway = self.gateway()?;
            let all = gateway["findings"].as_array().cloned().unwrap_or_default();
            let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            let told: Vec<(String, String)> = all
                .iter()
                .map(|finding| (text(finding, "code"), text(finding, "object")))
                .filter(|(code, _)| code.starts_with("CD-32"))
                .collect();
            if told == wanted { Ok(()) } else { Err(format!("{gateway:#}\n{}", self.kong.log())) }
        });
    }
}

/// By which the pods' taps are read.
pub(crate) const TOKEN: &str = "the-token-of-a-test-is-no-secret";

fn token(n: &str) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "certdrift-token", "namespace": n},
        "stringData": {"token": TOKEN}})
    .to_string()
}

/// The gateway of a controller's configuration. `ingress_controller`: that section.
pub(crate) fn configuration(n: &str, ingress_controller: &str) -> String {
    format!(
        "- name: kong\n  kubernetes: {{namespace: {n}, bindings: {{kong_ingress: {{namespaces: [{n}]}}}}, pods: {{labels: {{app: kong}}, status: {{port: 8100, path: /status}}}}, ingress_controller: {ingress_controller}}}\n  observe: {{poll: 1s}}\n  publish: {{grace: 1s}}\n  policy: {{grace: 1s}}\n"
    )
}

/// Runs a test on a real node, on whose gateway's pods a first certificate is served.
pub(crate) fn on_a_node(prefix: &'static str, test: impl FnOnce(Scene, Fingerprint) + Send + 'static) {
    let cluster = Cluster::shared().unwrap();
    // Made outside, where the network is.
    for picture in [Picture::Gateway, Picture::Kic] {
        cluster.image(picture).unwrap();
    }
    inside_of(cluster, move |cluster| {
        let (scene, leaf) = Scene::set(cluster, prefix);
        test(scene, leaf);
    });
}
