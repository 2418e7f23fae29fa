//! The rim: full handshakes for hosts on each pod of a gateway, by port-forward or directly, at a pace and a few at a time.
use super::judge::Sights;
use crate::clock;
use crate::cluster::{ObjectName, forward};
use crate::observe::endpoint::Sight;
use crate::observe::handshake::{self, Look, Target};
use crate::observe::http::{Bounds, Client, Request, Url};
use crate::observe::pace::Pace;
use crate::observe::proxy_protocol::ProxyProtocol;
use crate::observe::tls;
use crate::observe::verifier::Offer;
use crate::observe::workers;
use futures_util::{StreamExt as _, stream};
use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// So many handshakes with one pod are under way at a time.
const AT_A_TIME: usize = 16;
/// A pod that did not answer so often in a row is left: what it would cost to ask on is time.
const GIVEN_UP_AFTER: u32 = 3;

/// A pod where a gateway serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Seat {
    /// Which.
    pub pod: ObjectName,
    /// Where it serves, as seen from the network of pods.
    pub address: SocketAddr,
    /// What it expects before TLS.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Kong's status, where there is one.
    pub status: Option<Url>,
    /// The kubelet took it so long ago that a start is over.
    pub is_old: bool,
}

/// How to look.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Connect to the pods' own addresses.
    pub direct: bool,
    /// For one handshake in all.
    pub timeout: Duration,
    /// Handshakes with one pod.
    pub per_second: u32,
}

/// What is to be looked at on a pod: hosts as they are listed, each with the families that are expected.
pub type Hosts = Vec<(Arc<str>, Vec<Offer>)>;

/// Looks at all hosts on one pod; what was seen goes to `to`, and `done` hears of each host.
pub async fn at(
    client: &kube::Client,
    seat: &Seat,
    hosts: &Hosts,
    manner: Manner,
    to: &RefCell<Sights>,
    done: &dyn Fn(usize),
) {
    let begun = clock::instant();
    let pace = RefCell::new(Pace::new(manner.per_second));
    let (silent, last) = (Cell::new(0u32), RefCell::new(String::new()));
    let look = |(host, offers): &(Arc<str>, Vec<Offer>)| {
        let (host, offers) = (Arc::clone(host), offers.clone());
        let (pace, silent, last) = (&pace, &silent, &last);
        async move {
            let mut sights = Vec::with_capacity(offers.len());
            for offer in offers {
                loop {
                    let wait = pace.borrow_mut().take(1, clock::since(begun));
                    match wait {
                        Ok(()) => break,
                        Err(wait) => clock::sleep(wait).await,
                    }
                }
                let began = clock::now();
                let look = if silent.get() >= GIVEN_UP_AFTER {
                    Look::Unreachable(last.borrow().clone())
                } else {
                    one(client, seat, &host, offer, manner).await
                };
                match &look {
                    Look::Unreachable(why) => {
                        silent.set(silent.get().saturating_add(1));
                        why.clone_into(&mut last.borrow_mut());
                    }
                    _ => silent.set(0),
                }
                sights.push(Sight { offer, began, look, report: None });
            }
            (host, sights)
        }
    };
    let mut looks = stream::iter(hosts).map(look).buffer_unordered(AT_A_TIME);
    while let Some((host, sights)) = looks.next().await {
        done(sights.len());
        to.borrow_mut().insert((seat.pod.to_string(), host), sights);
    }
}

async fn one(client: &kube::Client, seat: &Seat, host: &str, offer: Offer, manner: Manner) -> Look {
    let (sni, _) = handshake::sni_for(host);
    let Seat { pod, address, proxy_protocol, .. } = seat;
    let target = Target { address: *address, sni, proxy_protocol: *proxy_protocol, timeout: manner.timeout };
    if manner.direct {
        return handshake::look(&target, offer).await;
    }
    // It comes out at the pod's loopback.
    let target = Target { address: SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())), ..target };
    let mut said = None;
    let connect = async {
        let forwarded = forward::to(client, pod, address.port()).await?;
        said = Some(forwarded.error);
        Ok(forwarded.stream)
    };
    let look = handshake::look_over(connect, &target, offer).await;
    match (look, said) {
        (Look::Unreachable(why), Some(said)) => Look::Unreachable(said.why().await.unwrap_or(why)),
        (look, _) => look,
    }
}

/// Whether Kong has no configuration there; none where it does not say.
pub async fn is_empty(client: &kube::Client, seat: &Seat, manner: Manner) -> Option<bool> {
    const MOST: usize = 1 << 20;
    let url = seat.status.as_ref()?;
    let body = if manner.direct {
        let bounds = Bounds { timeout: manner.timeout, body: MOST };
        Client::new(tls::any()).send(Request::get(url.clone()), bounds).await.ok()?.body
    } else {
        clock::timeout(manner.timeout, forward::get(client, &seat.pod, url, MOST)).await.ok()?.ok()?.body
    };
    let hash = workers::kong_status(&body).ok()?.configuration?;
    Some(hash.bytes().all(|digit| digit == b'0'))
}
