//! Checks of the gateways' pods: what their templates say. Pure.
use super::super::compat::{Part, Version};
use super::super::facts::{Facts, Seen, SeenPod};
use super::super::findings::{DEFAULT_UNRENEWED, INLINE, PROBE_HEALTHZ, SUB_PATH, TAP_ABSENT, WASM_OFF};
use super::super::report::Outcome;
use crate::cluster::pod::Port;
use crate::cluster::workload::{Container, Template};
use crate::config::Gateway;
use crate::config::kubernetes::Pods;
use certdrift_contract::names::{DEFAULT_PREFIX, path};
use std::collections::BTreeMap;

/// The first without Wasm.
const NO_WASM: Version = Version(3, 11, 0);

/// What a check says of each gateway that has pods in the cluster; where these were not seen, that.
pub(super) fn each(facts: &Facts, say: impl Fn(&Gateway, &Seen, &[SeenPod]) -> Vec<Outcome>) -> Vec<Outcome> {
    let mut out = Vec::new();
    for gateway in facts.here.config.iter().flat_map(|config| &config.gateways) {
        let Some(seen) = facts.gateways.get(&gateway.name) else { continue };
        match &seen.pods {
            Ok(pods) => out.extend(say(gateway, seen, pods)),
            Err(why) => {
                let namespace =
                    gateway.kubernetes.as_ref().map(|own| own.namespace.as_str()).unwrap_or_default();
                let mend = format!("kubectl get pods -n {namespace}");
                out.push(Outcome::unknown(format!("gateway {}", gateway.name), why, mend));
            }
        }
    }
    out
}

/// `deployment/kong`, where the pod's owner tells it.
fn workload(pod: &Template) -> String {
    let owner = pod.metadata.owner_references.iter().find(|owner| owner.controller);
    let hash = pod.metadata.labels.get("pod-template-hash");
    match owner {
        Some(owner) if &*owner.kind == "ReplicaSet" => {
            let name = hash.and_then(|hash| owner.name.strip_suffix(&format!("-{hash}")));
            format!("deployment/{}", name.unwrap_or(&owner.name))
        }
        Some(owner) => format!("{}/{}", owner.kind.to_ascii_lowercase(), owner.name),
        None => format!("pod/{}", pod.metadata.name),
    }
}

/// One outcome for what is alike in all pods of a workload.
fn once(all: Vec<(String, Outcome)>) -> Vec<Outcome> {
    let mut kept: BTreeMap<(String, String), Outcome> = BTreeMap::new();
    for (workload, outcome) in all {
        kept.entry((workload, outcome.what.clone())).or_insert(outcome);
    }
    kept.into_values().collect()
}

fn kong(pod: &Template) -> Option<(&Container, Option<Version>)> {
    let is_kong = |c: &&Container| {
        Part::of_image(c.image().0) == Some(Part::Kong) || c.variable("KONG_DATABASE").is_some()
    };
    let container = pod.spec.containers.iter().find(is_kong)?;
    Some((container, container.image().1.and_then(Version::parse)))
}

fn is_on(value: Option<&str>) -> bool {
    matches!(value, Some("on" | "true" | "yes"))
}

/// Kong runs the filter, where the configuration expects its report.
#[must_use]
pub fn wasm(facts: &Facts) -> Vec<Outcome> {
    each(facts, |gateway, _, pods| {
        let wanted = expects(gateway, |pods| pods.report.is_some());
        let look = |pod: &SeenPod| {
            let (container, version) = kong(&pod.template)?;
            let on = is_on(container.variable("KONG_WASM"));
            let outcome = || wasm_of(gateway, &pod.template, container, version, on);
            (wanted || on).then(|| (workload(&pod.template), outcome()))
        };
        once(pods.iter().filter_map(look).collect())
    })
}

fn expects(gateway: &Gateway, what: impl Fn(&Pods) -> bool) -> bool {
    gateway.kubernetes.as_ref().and_then(|own| own.pods.as_ref()).is_some_and(what)
}

fn wasm_of(
    gateway: &Gateway,
    pod: &Template,
    container: &Container,
    version: Option<Version>,
    on: bool,
) -> Outcome {
    let object = format!("{} in {}", workload(pod), pod.metadata.namespace);
    if let Some(version) = version.filter(|version| *version >= NO_WASM) {
        let what = format!("Kong {version} has no Wasm: the filter cannot run there");
        let mend = format!(
            "in certdrift's configuration of {}: take `report` out of its pods, and read the tap instead (`tap: {{port: 8788, path: /tap}}`); deploy/kong/README.md",
            gateway.name
        );
        return Outcome::failed(&WASM_OFF, object, what, mend).because("Kong removed it in 3.11");
    }
    let values = "# values of the chart kong/kong\nenv:\n  wasm: \"on\"\n  wasm_filters_path: /opt/certdrift\n  wasm_filters: user";
    if !on {
        let what = format!(
            "KONG_WASM is {:?} in container {}",
            container.variable("KONG_WASM").unwrap_or("off"),
            container.name
        );
        return Outcome::failed(&WASM_OFF, object, what, values);
    }
    let filters = container.variable("KONG_WASM_FILTERS").unwrap_or("bundled,user");
    if !filters.split(',').map(str::trim).any(|f| matches!(f, "user" | "certdrift")) {
        let what = format!("KONG_WASM_FILTERS is {filters:?}: certdrift is not among them");
        return Outcome::failed(&WASM_OFF, object, what, values);
    }
    Outcome::passed(format!("{object}: Wasm is on"))
}

/// The tap is included.
#[must_use]
pub fn tap(facts: &Facts) -> Vec<Outcome> {
    each(facts, |gateway, _, pods| {
        let expected = expects(gateway, |pods| pods.tap.is_some() || pods.report.is_some());
        let look = |pod: &SeenPod| {
            let (container, _) = kong(&pod.template)?;
            Some((workload(&pod.template), tap_of(&pod.template, container, expected)))
        };
        once(pods.iter().filter_map(look).collect())
    })
}

fn tap_of(pod: &Template, container: &Container, expected: bool) -> Outcome {
    let object = format!("{} in {}", workload(pod), pod.metadata.namespace);
    let lacks: Vec<&str> = ["KONG_NGINX_HTTP_INCLUDE", "KONG_NGINX_PROXY_INCLUDE"]
        .into_iter()
        .filter(|name| container.variable(name).is_none_or(str::is_empty))
        .collect();
    if lacks.is_empty() {
        return Outcome::passed(format!("{object}: an include is set for the tap"));
    }
    let what = format!("{} not set in container {}", lacks.join(" and "), container.name);
    let values = "# values of the chart kong/kong; the files and their mounts: deploy/kong/README.md\nenv:\n  nginx_http_include: /etc/certdrift/certdrift-http.conf\n  nginx_proxy_include: /etc/certdrift/certdrift-proxy.conf";
    let outcome = if expected {
        Outcome::failed(&TAP_ABSENT, object, what, values)
    } else {
        Outcome::warning(&TAP_ABSENT, object, what, values)
    };
    outcome.because("without the tap no worker says what it served: a handshake names no worker, and the filter sees no certificate")
}

fn prefix(gateway: &Gateway) -> String {
    let report = gateway.kubernetes.as_ref().and_then(|own| own.pods.as_ref()?.report.as_deref());
    let said = report.and_then(|text| text.strip_suffix(path::REPORT)?.strip_suffix('/'));
    said.unwrap_or(DEFAULT_PREFIX).to_owned()
}

/// No kubelet asks `healthz`.
#[must_use]
pub fn probes(facts: &Facts) -> Vec<Outcome> {
    each(facts, |gateway, _, pods| {
        let prefix = prefix(gateway);
        let all = pods.iter().flat_map(|pod| probes_of(&prefix, &pod.template)).collect();
        let out = once(all);
        if out.is_empty() && !pods.is_empty() {
            let healthz = path::HEALTHZ;
            return vec![Outcome::passed(format!(
                "no kubelet probe of {} asks {prefix}/{healthz}",
                gateway.name
            ))];
        }
        out
    })
}

fn probes_of(prefix: &str, pod: &Template) -> Vec<(String, Outcome)> {
    let healthz = format!("{prefix}/{}", path::HEALTHZ);
    let (workload, n) = (workload(pod), &pod.metadata.namespace);
    let mut all = Vec::new();
    for (number, container) in pod.spec.containers.iter().enumerate() {
        for (word, probe) in container.probes() {
            let Some(asked) = probe.http_get.as_ref().filter(|get| *get.path == *healthz) else { continue };
            let port = match &asked.port {
                Some(Port::Number(port)) => format!(", port {port}"),
                Some(Port::Name(port)) => format!(", port {port}"),
                None => String::new(),
            };
            let what = format!("{word} of container {} asks {healthz}{port}", container.name);
            let right = if word == "livenessProbe" { path::LIVEZ } else { path::READYZ };
            let at = format!("/spec/template/spec/containers/{number}/{word}/httpGet/path");
            let mend = format!(
                r#"kubectl patch {workload} -n {n} --type=json --patch='[{{"op":"replace","path":"{at}","value":"{prefix}/{right}"}}]'"#
            );
            let outcome = Outcome::failed(&PROBE_HEALTHZ, format!("{workload} in {n}"), what, mend);
            all.push((workload.clone(), outcome));
        }
    }
    all
}

/// The default certificate is one that somebody renews.
#[must_use]
pub fn default_certificate(facts: &Facts) -> Vec<Outcome> {
    each(facts, |gateway, seen, pods| {
        let look = |pod: &SeenPod| {
            let (container, _) = kong(&pod.template)?;
            Some((workload(&pod.template), default_of(gateway, seen, &pod.template, container)))
        };
        once(pods.iter().filter_map(look).collect())
    })
}

fn default_of(gateway: &Gateway, seen: &Seen, pod: &Template, container: &Container) -> Outcome {
    let n = &pod.metadata.namespace;
    let object = format!("{} in {n}", workload(pod));
    let certificate = format!(
        "kubectl apply -f - <<'END'\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: {0}-default, namespace: {n}}}\nspec: {{secretName: {0}-default-tls, dnsNames: [NAME], issuerRef: {{name: ISSUER, kind: ClusterIssuer}}}}\nEND\n# values of the chart kong/kong\nsecretVolumes: [{0}-default-tls]\nenv:\n  ssl_cert: /etc/secrets/{0}-default-tls/tls.crt\n  ssl_cert_key: /etc/secrets/{0}-default-tls/tls.key",
        gateway.name
    );
    let Some(path) = container.variable("KONG_SSL_CERT").filter(|path| !path.is_empty()) else {
        let what = "KONG_SSL_CERT is not set: where no host matches, Kong serves a certificate that it signed itself for localhost";
        return Outcome::warning(&DEFAULT_UNRENEWED, object, what, certificate);
    };
    if path.contains("BEGIN") {
        let what = "the default certificate stands in the environment: nothing but a rollout changes it";
        return Outcome::warning(&INLINE, object, what, certificate);
    }
    let Some(secret) = pod.spec.secret_at(container, path) else {
        let what =
            format!("KONG_SSL_CERT is {path}, which is in no Secret's volume: nobody is known to renew it");
        return Outcome::warning(&DEFAULT_UNRENEWED, object, what, certificate);
    };
    if pod.spec.is_sub_path(container, path) {
        let what =
            format!("{path} is mounted by subPath from Secret {secret}: a running pod never sees a renewal");
        let mend =
            "mount the whole Secret as a folder, without subPath, and let KONG_SSL_CERT name the file in it";
        return Outcome::failed(&SUB_PATH, object, what, mend);
    }
    match &seen.renewed {
        Err(why) => Outcome::unknown(object, why, format!("kubectl get certificates -n {n}")),
        Ok(renewed) if renewed.contains(secret) => Outcome::passed(format!(
            "{object}: a Certificate renews the default certificate, Secret {secret}"
        )),
        Ok(_) => {
            let what = format!("the default certificate is Secret {secret}, which no Certificate renews");
            Outcome::warning(&DEFAULT_UNRENEWED, object, what, certificate)
        }
    }
}

#[cfg(test)]
mod tests;
