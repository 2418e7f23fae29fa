//! What no single value can tell: names used twice, addresses that are open to strangers, things that do not go together.
mod canary;
mod kubernetes;

use super::{Config, Endpoint, Gateway, Listen};
use crate::remedy::config::Act;
use std::collections::HashSet;
use std::path::PathBuf;

/// Something wrong at a place of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `gateways[0].endpoints[1].address`
    pub path: String,
    /// In words.
    pub why: String,
    /// What to do.
    pub mend: String,
}

/// Everything wrong with a configuration whose values are each well-formed; empty when it is good.
#[must_use]
pub fn check(config: &Config) -> Vec<Problem> {
    let mut told = Told(Vec::new());
    listen(&config.listen, &mut told);
    if config.gateways.is_empty() {
        told.tell(
            "gateways",
            "there is no gateway to watch over",
            "list at least one; `certdrift config example` shows how",
        );
    }
    if let Some(cluster) = &config.kubernetes {
        kubernetes::cluster(cluster, &mut told);
    }
    let mut names = HashSet::new();
    let mut files: Vec<(PathBuf, &str)> = Vec::new();
    for (n, one) in config.gateways.iter().enumerate() {
        let at = format!("gateways[{n}]");
        if !names.insert(one.name.as_str()) {
            told.tell(
                &format!("{at}.name"),
                &format!("the name {:?} is used twice", one.name),
                "name each gateway once",
            );
        }
        if let Some(file) = config.ledger_file(one) {
            if let Some((_, other)) = files.iter().find(|(f, _)| *f == file) {
                let why = format!("{} is also the ledger of {other}", file.display());
                told.tell(&format!("{at}.publish.file"), &why, "give each gateway a file of its own");
            }
            files.push((file, one.name.as_str()));
        }
        gateway(one, &at, &mut told);
        sources(one, &at, &mut told);
        if let Some(own) = &one.kubernetes {
            kubernetes::gateway(config, one, own, &format!("{at}.kubernetes"), &mut told);
        }
        if let Some(own) = &one.canary {
            canary::canary(config, one, own, &format!("{at}.canary"), &mut told);
        }
        for (place, why) in one.policy.check() {
            told.tell(
                &format!("{at}.policy.{place}"),
                &why,
                "correct the line; docs/configuration.md says what each key means",
            );
        }
    }
    told.0
}

struct Told(Vec<Problem>);

impl Told {
    fn tell(&mut self, path: &str, why: &str, mend: &str) {
        self.0.push(Problem { path: path.to_owned(), why: why.to_owned(), mend: mend.to_owned() });
    }
}

fn listen(listen: &Listen, told: &mut Told) {
    let opened = listen.token.is_some() || listen.tls.as_ref().is_some_and(|t| t.client_ca.is_some());
    if !listen.address.ip().is_loopback() && !opened {
        told.tell(
            "listen.address",
            &format!(
                "{} is open to others than this machine, and nothing says who may read ledgers",
                listen.address
            ),
            "add listen.token or listen.tls.client_ca, or listen on 127.0.0.1",
        );
    }
    if let Some(token) = &listen.token
        && let Err(why) = token.read()
    {
        told.tell("listen.token", &why, "put a token there: openssl rand -hex 32");
    }
    if listen.token.is_some() && listen.tls.is_none() && !listen.address.ip().is_loopback() {
        told.tell(
            "listen.token",
            "the token would travel in clear text",
            "add listen.tls, or listen on 127.0.0.1",
        );
    }
}

/// Names become labels, paths and file names.
fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn gateway(gateway: &Gateway, at: &str, told: &mut Told) {
    if !is_name(&gateway.name) {
        let why = format!("{:?} is no name", gateway.name);
        told.tell(
            &format!("{at}.name"),
            &why,
            "use 1 to 63 lower-case letters, digits and -, as in kong-public",
        );
    }
    for (key, period) in [
        ("timeout", gateway.observe.timeout),
        ("sweep", gateway.observe.sweep),
        ("poll", gateway.observe.poll),
    ] {
        if period.as_millis() < 100 {
            told.tell(
                &format!("{at}.observe.{key}"),
                "it is shorter than 100ms",
                "give it a sensible time, as in 5s",
            );
        }
    }
    if gateway.observe.per_second == 0 {
        told.tell(&format!("{at}.observe.per_second"), "0 would observe nothing", "20 is polite");
    }
    let has_pods = gateway.kubernetes.as_ref().is_some_and(|own| own.pods.is_some());
    if gateway.endpoints.is_empty() && !has_pods {
        let mend = "list at least one address where it takes TLS connections: `- {name: a, address: 127.0.0.1:8443}`";
        told.tell(&format!("{at}.endpoints"), "there is no endpoint: nothing could be observed", mend);
    }
    let mut names = HashSet::new();
    for (n, one) in gateway.endpoints.iter().enumerate() {
        let at = format!("{at}.endpoints[{n}]");
        if !names.insert(one.name.as_str()) {
            told.tell(
                &format!("{at}.name"),
                &format!("the name {:?} is used twice", one.name),
                "name each endpoint once",
            );
        }
        endpoint(one, &at, told);
    }
}

fn sources(gateway: &Gateway, at: &str, told: &mut Told) {
    match (&gateway.kubernetes, gateway.sources.is_empty()) {
        (None, true) => {
            let mend = "name at least one directory: `- directory: /etc/letsencrypt/live`; or the gateway's objects in a cluster: `kubernetes`";
            told.tell(&format!("{at}.sources"), "there is no source: nothing would be expected", mend);
        }
        (Some(_), false) => told.tell(
            &format!("{at}.sources"),
            "the gateway has sources and `kubernetes`: its certificates come from one of them",
            "leave one of the two out, or make two gateways of it",
        ),
        _ => {}
    }
    let mut directories = HashSet::new();
    let mut default = false;
    for (n, source) in gateway.sources.iter().enumerate() {
        let at = format!("{at}.sources[{n}]");
        if !directories.insert(&source.directory) {
            let why = format!("{} is listed twice", source.directory.display());
            told.tell(&format!("{at}.directory"), &why, "list each directory once");
        }
        if source.default.is_some() && std::mem::replace(&mut default, true) {
            told.tell(
                &format!("{at}.default"),
                "another source names the default certificate",
                "name one default certificate a gateway",
            );
        }
        for (path, hosts) in &source.hosts {
            for (m, host) in hosts.iter().enumerate() {
                if let Err(error) = crate::source::names::host(host) {
                    let place = format!("{at}.hosts.\"{path}\"[{m}]");
                    told.tell(
                        &place,
                        &format!("{host:?}: {error}"),
                        "write a host name, *.parent, name.* or *",
                    );
                }
            }
        }
    }
    for (n, known) in gateway.acknowledged.iter().enumerate() {
        let at = format!("{at}.acknowledged[{n}]");
        if let Err(error) = crate::source::names::host(&known.host)
            && known.host != "default"
        {
            told.tell(
                &format!("{at}.host"),
                &format!("{:?}: {error}", known.host),
                "write the host as the ledger lists it",
            );
        }
        if known.reason.trim().is_empty() {
            told.tell(
                &format!("{at}.reason"),
                "there is no reason",
                "say why it is let be, for whoever comes next",
            );
        }
    }
    for (n, remedy) in gateway.policy.remedies.iter().enumerate() {
        let has_pods = gateway.kubernetes.as_ref().is_some_and(|own| own.pods.is_some());
        let kind = remedy.act.kind().replace('-', "_");
        if remedy.act.needs_pods() && !has_pods {
            told.tell(
                &format!("{at}.policy.remedies[{n}].{kind}"),
                "it acts on pods, and the gateway has none",
                "add kubernetes.pods, which says which they are, or use another remedy",
            );
        }
        if matches!(remedy.act, Act::Touch(_)) && gateway.kubernetes.is_none() {
            told.tell(
                &format!("{at}.policy.remedies[{n}].touch"),
                "it changes a Secret of a cluster, and the gateway is in none",
                "use another remedy",
            );
        }
        if let Some(name) = &remedy.endpoint
            && !has_pods
            && !gateway.endpoints.iter().any(|e| e.name == *name)
        {
            let why = format!("there is no endpoint {name:?}");
            told.tell(
                &format!("{at}.policy.remedies[{n}].endpoint"),
                &why,
                "name one of this gateway's endpoints, or leave it out",
            );
        }
    }
}

fn endpoint(endpoint: &Endpoint, at: &str, told: &mut Told) {
    if endpoint.name.is_empty() || endpoint.name.len() > 253 || endpoint.name.contains(char::is_whitespace) {
        told.tell(
            &format!("{at}.name"),
            "an endpoint has a name without spaces",
            "name it after its pod or machine",
        );
    }
    if let Err(why) = host_and_port(&endpoint.address) {
        let mend = "write HOST:PORT, ADDRESS:PORT or [IPV6]:PORT";
        told.tell(&format!("{at}.address"), &format!("{:?}: {why}", endpoint.address), mend);
    }
    if endpoint.workers == Some(0) {
        told.tell(
            &format!("{at}.workers"),
            "a gateway has at least one worker",
            "leave it out when you do not know",
        );
    }
    for (key, url) in [("tap", &endpoint.tap), ("report", &endpoint.report), ("status", &endpoint.status)] {
        let Some(url) = url else { continue };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            told.tell(
                &format!("{at}.{key}"),
                &format!("{url:?} is no URL"),
                "begin with http:// or https://",
            );
        }
    }
    if let Some(token) = &endpoint.token
        && let Err(why) = token.read()
    {
        told.tell(
            &format!("{at}.token"),
            &why,
            "put the token there that the gateway's tap or filter was given",
        );
    }
}

/// Splits `HOST:PORT`; an IPv6 address stands in brackets.
///
/// # Errors
/// In words.
pub fn host_and_port(address: &str) -> Result<(&str, u16), &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("the port is missing")?;
    let port = port.parse().ok().filter(|p| *p != 0).ok_or("the port is no number from 1 to 65535")?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or("the closing bracket is missing")?,
        None if host.contains(':') => return Err("an IPv6 address stands in brackets"),
        None => host,
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err("the host is missing");
    }
    Ok((host, port))
}
