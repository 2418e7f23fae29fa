//! What can be wrong with a gateway's canary.
use super::Told;
use crate::cluster::ObjectName;
use crate::config::canary::{Canary, SHORTEST};
use crate::config::kubernetes::Reach;
use crate::config::{Config, Gateway};

pub(super) fn canary(config: &Config, gateway: &Gateway, canary: &Canary, at: &str, told: &mut Told) {
    if gateway.kubernetes.is_none() {
        let why = "a canary is rotated by cert-manager in a cluster, and the gateway is in none";
        return told.tell(at, why, "leave it out: every renewal of a file is timed and proven without one");
    }
    match ObjectName::parse(&canary.certificate) {
        None => {
            let why = format!("{:?} is no NAMESPACE/NAME of a Certificate", canary.certificate);
            told.tell(&format!("{at}.certificate"), &why, "write NAMESPACE/NAME");
        }
        Some(name) => {
            if let Some(cluster) = &config.kubernetes
                && cluster.reach == Reach::Namespaces
                && !cluster.namespaces.iter().any(|n| **n == *name.namespace)
            {
                let why = format!("namespace {} is not one that certdrift looks at", name.namespace);
                told.tell(&format!("{at}.certificate"), &why, "add it to kubernetes.namespaces");
            }
        }
    }
    match crate::source::names::host(&canary.host) {
        Ok(_) if !canary.host.contains('*') => {}
        Ok(_) => {
            let why = format!("{:?} stands for many hosts; a canary is one", canary.host);
            told.tell(&format!("{at}.host"), &why, "write one host name, as in canary.example.com");
        }
        Err(error) => {
            let why = format!("{:?}: {error}", canary.host);
            told.tell(&format!("{at}.host"), &why, "write one host name, as in canary.example.com");
        }
    }
    if canary.every < SHORTEST {
        let why = format!("{} is shorter than {SHORTEST}", canary.every);
        told.tell(&format!("{at}.every"), &why, "1h is usual: each rotation is a renewal for the gateway");
    }
    if canary.within.as_millis() < 1_000 || canary.within >= canary.every {
        let why = format!("{} is not between 1s and {}, which is `every`", canary.within, canary.every);
        told.tell(&format!("{at}.within"), &why, "5m is usual: one is given up before the next is asked for");
    }
}
