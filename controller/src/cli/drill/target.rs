//! Whose certificate a drill re-issues: the canary's, that of a host, or the one that is named. Pure.
use crate::cluster::ObjectName;
use crate::cluster::cert_manager::Certificate;
use crate::run::state::Gateway;
use std::collections::BTreeSet;

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing: the canary.
    Canary,
    /// `NAMESPACE/NAME`
    Certificate(ObjectName),
    /// A host, as the ledger lists it.
    Host(String),
}

/// What that leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To this Certificate.
    To(ObjectName),
    /// To the one that is stored in this Secret.
    Secret(ObjectName),
}

/// Why it leads nowhere: why, and what to type.
pub type Nowhere = (String, String);

/// Where it leads, by what the controller knows; `None` where none answers.
///
/// # Errors
/// To nothing, or to more than one.
pub fn leads(target: &Target, gateways: Option<&[Gateway]>) -> Result<Leads, Nowhere> {
    let nowhere = |why: String, mend: &str| Err((why, mend.to_owned()));
    if let Target::Certificate(name) = target {
        return Ok(Leads::To(name.clone()));
    }
    let Some(gateways) = gateways else {
        let why = "no controller answers that could tell whose certificate that is".to_owned();
        return nowhere(why, "name it as NAMESPACE/NAME, or the controller with --url");
    };
    match target {
        Target::Certificate(name) => Ok(Leads::To(name.clone())),
        Target::Canary => {
            let all: BTreeSet<&str> =
                gateways.iter().filter_map(|g| Some(g.canary.as_ref()?.certificate.as_str())).collect();
            let mut all = all.into_iter();
            match (all.next(), all.next()) {
                (Some(one), None) => match ObjectName::parse(one) {
                    Some(name) => Ok(Leads::To(name)),
                    None => {
                        nowhere(format!("{one:?} is no NAMESPACE/NAME"), "see `canary` in the configuration")
                    }
                },
                (None, _) => nowhere(
                    "no gateway has a canary".to_owned(),
                    "name a Certificate as NAMESPACE/NAME, or a host; or switch a canary on (chart value canary.enabled)",
                ),
                (Some(one), Some(other)) => {
                    let rest: String = all.map(|name| format!(", {name}")).collect();
                    nowhere(format!("there are several canaries: {one}, {other}{rest}"), "name one of them")
                }
            }
        }
        Target::Host(host) => {
            let sources: BTreeSet<&str> = gateways
                .iter()
                .flat_map(|gateway| &gateway.hosts)
                .filter(|known| known.host == *host)
                .flat_map(|known| known.source.split('+'))
                .collect();
            let mut all = sources.into_iter();
            match (all.next(), all.next()) {
                (None, _) => nowhere(
                    format!("no ledger lists {host}"),
                    "certdrift status -o name lists all hosts; a Certificate is named as NAMESPACE/NAME",
                ),
                (Some(one), None) => match ObjectName::parse(one) {
                    Some(secret) => Ok(Leads::Secret(secret)),
                    None => nowhere(
                        format!("{host} is served from {one}, which cert-manager does not issue"),
                        "drill a host of a gateway in a cluster",
                    ),
                },
                (Some(one), Some(other)) => {
                    let rest: String = all.map(|name| format!(", {name}")).collect();
                    nowhere(
                        format!("{host} is served from several Secrets: {one}, {other}{rest}"),
                        "name the Certificate of one of them as NAMESPACE/NAME",
                    )
                }
            }
        }
    }
}

/// The Certificate that is stored in this Secret, of all in its namespace.
///
/// # Errors
/// None is, or several are.
pub fn stored_in(secret: &ObjectName, all: &[Certificate]) -> Result<ObjectName, Nowhere> {
    let mut its = all.iter().filter(|certificate| certificate.secret() == *secret);
    match (its.next(), its.next()) {
        (Some(one), None) => Ok(one.metadata.object()),
        (None, _) => Err((
            format!("no Certificate is stored in Secret {secret}"),
            "who else writes it has to renew it; cert-manager does not".to_owned(),
        )),
        (Some(one), Some(other)) => Err((
            format!(
                "several Certificates are stored in Secret {secret}: {}, {}",
                one.metadata.object(),
                other.metadata.object()
            ),
            "let one Secret have one Certificate (CD-135), or name one of them as NAMESPACE/NAME".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearse::way::tests::gateway_of;
    use crate::run::state::Canary;
    use serde_json::json;

    fn canary(certificate: &str) -> Canary {
        serde_json::from_value(
            json!({"host": "c.example", "certificate": certificate, "every": 1, "worked": null,
            "took": null, "waits_for": null, "failed": null, "next": null}),
        )
        .unwrap()
    }

    fn why(target: &Target, gateways: &[Gateway]) -> String {
        leads(target, Some(gateways)).unwrap_err().0
    }

    #[test]
    fn without_a_word_it_is_the_canary_where_there_is_one() {
        let plain = gateway_of("shop/web-tls", "", &[]);
        let with = |certificate| Gateway { canary: Some(canary(certificate)), ..plain.clone() };
        assert_eq!(
            leads(&Target::Canary, Some(&[plain.clone(), with("own/canary")])),
            Ok(Leads::To(ObjectName::new("own", "canary")))
        );
        // Two gateways may share one.
        assert!(leads(&Target::Canary, Some(&[with("own/canary"), with("own/canary")])).is_ok());
        assert_eq!(why(&Target::Canary, std::slice::from_ref(&plain)), "no gateway has a canary");
        let several = [with("own/a"), with("own/b"), with("own/c")];
        assert_eq!(why(&Target::Canary, &several), "there are several canaries: own/a, own/b, own/c");
        assert!(leads(&Target::Canary, None).unwrap_err().0.contains("no controller answers"));
        let named = Target::Certificate(ObjectName::new("shop", "web"));
        assert!(leads(&named, None).is_ok(), "who names it needs no controller");
    }

    #[test]
    fn a_host_leads_to_the_certificate_of_its_secret_and_never_to_one_of_several() {
        let of = |source: &str| gateway_of(source, "", &[]);
        let host = Target::Host("x.example".to_owned());
        let secret = ObjectName::new("shop", "web-tls");
        assert_eq!(
            leads(&host, Some(&[of("shop/web-tls"), of("shop/web-tls")])),
            Ok(Leads::Secret(secret.clone()))
        );
        assert!(why(&host, &[of("shop/a"), of("shop/b")]).contains("several Secrets: shop/a, shop/b"));
        assert!(why(&host, &[of("shop/rsa+shop/ecdsa")]).contains("several Secrets: shop/ecdsa, shop/rsa"));
        assert!(why(&host, &[of("file:x")]).contains("cert-manager does not issue"));
        assert_eq!(why(&Target::Host("y.example".to_owned()), &[of("shop/a")]), "no ledger lists y.example");
        let certificate = |name: &str, secret: &str| -> Certificate {
            serde_json::from_value(
                json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"secretName": secret}}),
            )
            .unwrap()
        };
        let all = [certificate("web", "web-tls"), certificate("other", "o")];
        assert_eq!(stored_in(&secret, &all), Ok(ObjectName::new("shop", "web")));
        assert!(stored_in(&secret, &all[1..]).unwrap_err().0.contains("no Certificate is stored"));
        let two = [certificate("web", "web-tls"), certificate("again", "web-tls")];
        assert!(stored_in(&secret, &two).unwrap_err().0.contains("shop/web, shop/again"));
    }
}
