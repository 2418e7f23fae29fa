//! What a drill will touch, and which maintenance windows are closed meanwhile. Pure.
use crate::cluster::ObjectName;
use crate::cluster::cert_manager::Certificate;
use crate::converge::{Millis, Window};
use crate::rehearse::begin::Issuer;

/// The gateways that have maintenance windows, and none open at this time.
#[must_use]
pub fn closed_at<'a>(gateways: impl Iterator<Item = (&'a str, &'a [Window])>, now: Millis) -> Vec<String> {
    gateways
        .filter(|(_, windows)| !windows.is_empty() && !windows.iter().any(|window| window.open_at(now)))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// What will be touched and what not, line by line.
#[must_use]
pub fn lines(
    name: &ObjectName,
    certificate: &Certificate,
    issuer: &Issuer,
    hosts: &[String],
    endpoints: usize,
) -> Vec<String> {
    let reference = &certificate.spec.issuer_ref;
    let kind = reference.kind.as_deref().unwrap_or("Issuer");
    let by = match issuer {
        Issuer::Acme => "acme".to_owned(),
        Issuer::Other(kind) => kind.clone(),
        Issuer::Unknown(_) => "unknown".to_owned(),
    };
    let watched = match hosts {
        [] => "no gateway is known to serve it: what comes after it is stored cannot be seen".to_owned(),
        hosts => format!("{} on {endpoints} endpoints", hosts.join(", ")),
    };
    vec![
        format!("Certificate {name} is asked for once more: condition Issuing in its status"),
        format!(
            "{kind} {} ({by}) signs it, cert-manager stores it in Secret {}",
            reference.name,
            certificate.secret()
        ),
        format!("watched: {watched}"),
        "nothing is deleted, no pod is restarted, and no Secret is read or written by certdrift drill"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_gateway_whose_maintenance_windows_are_closed_keeps_a_drill_away_unless_told() {
        let windows: Vec<Window> = serde_json::from_value(
            json!([{"days": ["tue"], "from": "02:00", "to": "03:00"}, {"days": ["tue"], "from": "22:00", "to": "23:00"}]),
        )
        .unwrap();
        // 2026-11-24, a Tuesday, at this hour.
        let at = |hour: i64| {
            let all = [("kong", &*windows), ("always", &[])];
            closed_at(all.into_iter(), Millis::from_seconds(1_795_478_400 + hour * 3_600))
        };
        assert_eq!((at(2), at(22)), (Vec::new(), Vec::new()), "any open one will do");
        let closed = at(12);
        assert_eq!(closed, ["kong"], "one without windows is always open");
    }
}
