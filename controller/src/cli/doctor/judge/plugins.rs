//! Checks of what plugins say: who may see the filter's health, and whether its metrics are shown. Pure.
use super::super::facts::{Facts, Plugin};
use super::super::findings::{ALLOW_WIDE, NO_METRICS};
use super::super::report::Outcome;
use std::net::IpAddr;

/// Who may see health is not the world.
#[must_use]
pub fn allow(facts: &Facts) -> Vec<Outcome> {
    let plugins = match &facts.plugins {
        Ok(plugins) => plugins,
        Err(why) => {
            return vec![Outcome::unknown(
                "",
                why,
                "kubectl get kongplugins,kongclusterplugins --all-namespaces",
            )];
        }
    };
    let mut out = Vec::new();
    let mut looked = 0usize;
    for plugin in plugins.iter().filter(|plugin| plugin.is_ours()) {
        looked = looked.saturating_add(1);
        let object = plugin.kubectl();
        for range in plugin.allows() {
            let (what, world) = match width(range) {
                Width::World => (format!("health.allow has {range}: everybody is let in"), true),
                Width::Private => (format!("health.allow has the private range {range}"), false),
                Width::Narrow => continue,
            };
            let mend = format!(
                "kubectl patch {} --type=merge --patch='{{\"config\":{{\"health\":{{\"allow\":[\"127.0.0.0/8\",\"::1\"]}}}}}}'\n# who else has to see health carries a token: health.token",
                plugin.kubectl()
            );
            let outcome = if world {
                Outcome::failed(&ALLOW_WIDE, object.clone(), what, mend)
            } else {
                Outcome::warning(&ALLOW_WIDE, object.clone(), what, mend)
            };
            out.push(
                outcome.because(
                    "behind a load balancer that translates addresses, a private one is the Internet",
                ),
            );
        }
    }
    if looked == 0 {
        // In a filter chain, or in a gateway that Kong's ingress controller does not configure.
        for gateway in facts.here.config.iter().flat_map(|config| &config.gateways) {
            let pods = gateway.kubernetes.as_ref().and_then(|own| own.pods.as_ref());
            if pods.is_some_and(|pods| pods.report.is_some()) {
                let because = "the filter's configuration is in no KongPlugin and no KongClusterPlugin";
                let mend =
                    "look at health.allow in the filter's configuration: loopback only; then --skip allow";
                out.push(Outcome::unknown(format!("gateway {}", gateway.name), because, mend));
            }
        }
    }
    if out.is_empty() && looked > 0 {
        out.push(Outcome::passed("health answers only those that carry a token, or are near"));
    }
    out
}

/// Kong shows what the filter counts, where there is the filter and a prometheus plugin.
#[must_use]
pub fn metrics(facts: &Facts) -> Vec<Outcome> {
    let plugins = match &facts.plugins {
        Ok(plugins) => plugins,
        Err(why) => return vec![Outcome::unknown("", why, "kubectl get kongclusterplugins")],
    };
    if !plugins.iter().any(Plugin::is_ours) {
        return Vec::new();
    }
    let all = plugins.iter().filter(|plugin| &*plugin.plugin == "prometheus");
    let judge = |plugin: &Plugin| {
        if plugin.config.get("wasm_metrics").and_then(serde_json::Value::as_bool) == Some(true) {
            return Outcome::passed(format!("{} shows the filter's metrics", plugin.kubectl()));
        }
        let mend = format!(
            "kubectl patch {} --type=merge --patch='{{\"config\":{{\"wasm_metrics\":true}}}}'",
            plugin.kubectl()
        );
        Outcome::warning(&NO_METRICS, plugin.kubectl(), "wasm_metrics is not true", mend)
    };
    all.map(judge).collect()
}

enum Width {
    World,
    Private,
    Narrow,
}

/// How much of the world a range is; as the filter reads it.
fn width(range: &str) -> Width {
    let (address, bits) =
        range.split_once('/').map_or((range, None), |(address, bits)| (address, bits.parse::<u8>().ok()));
    let Ok(address) = address.parse::<IpAddr>() else { return Width::Narrow };
    // As the filter does: a range within ::ffff:0:0/96 is one of IPv4.
    let (address, bits) = match address.to_canonical() {
        v4 if v4.is_ipv4() && address.is_ipv6() && bits.is_none_or(|bits| bits >= 96) => {
            (v4, bits.map(|bits| bits.saturating_sub(96)))
        }
        _ => (address, bits),
    };
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    let (private, loopback) = match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            (v4.is_private() || v4.is_link_local() || (a == 100 && (64..128).contains(&b)), v4.is_loopback())
        }
        IpAddr::V6(v6) => (v6.is_unique_local() || v6.is_unicast_link_local(), v6.is_loopback()),
    };
    match bits {
        // Nobody owns so many addresses: it is the world, or holds private ranges.
        0..=7 => Width::World,
        _ if loopback || bits == all => Width::Narrow,
        _ if private => Width::Private,
        _ => Width::Narrow,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::report::State;
    use super::super::tests::{facts, states, with_pods};
    use super::*;
    use serde_json::json;

    fn with(allow: &[&str]) -> Vec<Outcome> {
        let plugin = json!({"metadata": {"name": "certdrift", "namespace": "shop"}, "plugin": "certdrift",
            "config": {"health": {"allow": allow}}});
        let other = json!({"metadata": {"name": "ip", "namespace": "shop"}, "plugin": "ip-restriction",
            "config": {"health": {"allow": ["0.0.0.0/0"]}}});
        let plugins = [plugin, other].map(|p| serde_json::from_value(p).unwrap()).into();
        super::allow(&Facts { plugins: Ok(plugins), ..facts() })
    }

    #[test]
    fn the_world_fails_a_private_range_warns_and_an_address_passes() {
        for (range, state) in [
            ("0.0.0.0/0", State::Failed),
            ("::/0", State::Failed),
            ("10.0.0.0/8", State::Warning),
            ("172.16.0.0/12", State::Warning),
            ("192.168.7.0/24", State::Warning),
            ("100.64.0.0/10", State::Warning),
            ("fc00::/7", State::Failed),
            ("fd00:1::/64", State::Warning),
            ("::ffff:10.0.0.0/104", State::Warning),
            ("10.1.2.3", State::Passed),
            ("127.0.0.0/8", State::Passed),
            ("203.0.113.0/24", State::Passed),
        ] {
            assert_eq!(states(&with(&["::1", range])), [state], "{range}");
        }
        let told = &with(&["10.0.0.0/8"])[0];
        assert!(
            told.mend.starts_with("kubectl patch kongplugin/certdrift -n shop --type=merge --patch='{"),
            "{}",
            told.mend
        );
    }

    #[test]
    fn plugins_that_may_not_be_read_are_not_narrow() {
        let forbidden = Facts { plugins: Err("forbidden".to_owned()), ..facts() };
        assert_eq!(states(&super::allow(&forbidden)), [State::Unknown]);
        let none = || Facts { plugins: Ok(Vec::new()), ..facts() };
        assert!(super::allow(&none()).is_empty(), "nobody has the filter");
        let elsewhere = with_pods(none(), "report: /certdrift/report");
        assert_eq!(states(&super::allow(&elsewhere)), [State::Unknown], "its filter is configured elsewhere");
    }

    #[test]
    fn a_prometheus_plugin_without_wasm_metrics_warns() {
        let with = |config: serde_json::Value| {
            let ours = json!({"metadata": {"name": "certdrift", "namespace": "shop"}, "plugin": "certdrift"});
            let prometheus =
                json!({"metadata": {"name": "metrics"}, "plugin": "prometheus", "config": config});
            let plugins = [ours, prometheus].map(|p| serde_json::from_value(p).unwrap()).into();
            super::metrics(&Facts { plugins: Ok(plugins), ..facts() })
        };
        assert_eq!(states(&with(json!({"wasm_metrics": true}))), [State::Passed]);
        let off = with(json!({}));
        assert_eq!(states(&off), [State::Warning]);
        assert!(off[0].mend.starts_with("kubectl patch kongclusterplugin/metrics --type=merge"), "{off:#?}");
        let forbidden = Facts { plugins: Err("forbidden".to_owned()), ..facts() };
        assert_eq!(states(&super::metrics(&forbidden)), [State::Unknown]);
    }
}
