//! What keeps a change from a gateway's pods, by what Kong's ingress controller says of its pushes: its Events and its
//! metrics. Pure.
//!
//! | it was seen to happen | Events | metrics |
//! |---|---|---|
//! | refused (400): nothing arrives anywhere | `KongConfigurationApplyFailed` on the broken object and on its own pod | `success="false"` rises |
//! | the same, with the gate `FallbackConfiguration`: all but the broken object arrives | also `FallbackKongConfigurationSucceeded` on its own pod | `fallback_…` |
//! | a pod that hangs holds up its fellows for half a minute | once, and late | not counted |
//!
//! Neither is enough: a repeated Event is told every 5 minutes only (client-go), some troubles have none, and metrics name
//! no object. Where metrics can be read they decide whether a push is refused still; Events say why.
use super::metrics::Counted;
use crate::cluster::event::{Event, Involved};
use crate::converge::Millis;
use crate::diagnose::Loading;
use std::collections::BTreeMap;
use std::net::IpAddr;

const FAILED: &str = "KongConfigurationApplyFailed";
const SUCCEEDED: &str = "KongConfigurationSucceeded";
const FALLBACK: &str = "FallbackKongConfigurationSucceeded";

/// An Event that is repeated is written again within this time, however often it happens (client-go lets one through
/// every 5 minutes). Milliseconds.
const REPEATED: i64 = 330_000;
/// One that nothing contradicts is believed for so long: with several pods not each of them is written again in
/// [`REPEATED`]. Milliseconds.
const BELIEVED: i64 = 900_000;
/// A push, its fallback and the Events of both come so close together. Milliseconds.
const TOGETHER: i64 = 15_000;
/// A pod that hangs was seen to hold up the others' pushes for up to 30 s; it is set aside then. Milliseconds.
const HOLDS_UP: i64 = 45_000;
/// So many broken objects are named.
const NAMED: usize = 3;

/// An endpoint that takes pushes.
#[derive(Clone, Copy, Debug)]
pub struct Pushed<'a> {
    /// `NAMESPACE/POD`
    pub endpoint: &'a str,
    /// Of its pod.
    pub address: IpAddr,
    /// When it was last seen to run by another configuration than before.
    pub changed: Option<Millis>,
    /// It runs without any configuration longer than a start takes.
    pub empty: bool,
    /// Since when it is silent: it takes a request, and does not answer.
    pub silent: Option<Millis>,
}

/// What an ingress controller says of its pushes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    /// Those of it that are there.
    pub events: &'a [&'a Event],
    /// What its metrics count.
    pub counted: Option<&'a Counted>,
}

/// What keeps a change from an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In which way.
    pub loading: Loading,
    /// When it was last known to be so; for a pod that hangs, since when it does.
    pub at: Millis,
    /// What was said of it.
    pub why: String,
    /// What is to blame: objects, or the pod that hangs.
    pub blamed: Vec<Blame>,
}

/// What is to blame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blame {
    /// `KongPlugin demo/limits`, `pod kong/kong-1`
    pub object: String,
    /// What is wrong with it, where somebody said so.
    pub why: Option<String>,
}

/// What keeps changes from which endpoint.
#[must_use]
pub fn troubles(endpoints: &[Pushed<'_>], said: Said<'_>, now: Millis) -> BTreeMap<String, Trouble> {
    let mut troubles = BTreeMap::new();
    for one in endpoints {
        let found = fallback(one, said, now)
            .or_else(|| refused(one, said, now))
            .or_else(|| empty(one, now))
            .or_else(|| held_back(one, endpoints, now));
        if let Some(trouble) = found {
            troubles.insert(one.endpoint.to_owned(), trouble);
        }
    }
    troubles
}

/// The newest Event with this reason on the controller's own pod that is about a push to this endpoint.
fn newest<'a>(events: &[&'a Event], reason: &str, to: &Pushed<'_>) -> Option<(Millis, &'a Event)> {
    let about = |e: &&&Event| &*e.reason == reason && &*e.involved_object.kind == "Pod" && is_about(e, to);
    let timed = events.iter().filter(about).filter_map(|e| Some((Millis::from(e.last()?), *e)));
    timed.max_by_key(|(at, _)| *at)
}

/// Whether an Event's text names the address of a push, as an address or as Kubernetes writes it in a name
/// (`10-0-0-1.kong.svc`); or the pod is the controller's own (a sidecar pushes to `localhost`).
fn is_about(event: &Event, to: &Pushed<'_>) -> bool {
    let address = to.address.to_string();
    let names = |text: &str| {
        let edge = |c: Option<char>| !c.is_some_and(|c| c.is_ascii_hexdigit() || c == '.' || c == '-');
        event.message.match_indices(text).any(|(at, _)| {
            let (before, rest) = event.message.split_at(at);
            let after = rest.get(text.len()..).unwrap_or_default();
            let mut following = after.chars();
            let next = following.next();
            // A name goes on after the address: `10-0-0-1.kong.svc`.
            let ends =
                edge(next) || (next == Some('.') && !following.next().is_some_and(|c| c.is_ascii_digit()));
            edge(before.chars().next_back()) && ends
        })
    };
    let own = || {
        let Involved { namespace, name, .. } = &event.involved_object;
        to.endpoint.strip_prefix(&**namespace).and_then(|rest| rest.strip_prefix('/')) == Some(name)
    };
    let local = || ["://localhost", "://127.0.0.1", "://[::1]"].iter().any(|l| event.message.contains(l));
    names(&address) || names(&address.replace(['.', ':'], "-")) || (local() && own())
}

/// The newest of the times at which a push of the whole configuration is known to have gone well.
fn succeeded(to: &Pushed<'_>, said: Said<'_>) -> Option<Millis> {
    let told = newest(said.events, SUCCEEDED, to).map(|(at, _)| at);
    told.max(said.counted.and_then(|c| c.of(to.address)).and_then(|c| c.succeeded))
}

/// All but a broken object is there.
fn fallback(to: &Pushed<'_>, said: Said<'_>, now: Millis) -> Option<Trouble> {
    let told = newest(said.events, FALLBACK, to);
    let counted = said.counted.and_then(|c| c.of(to.address)).and_then(|c| c.fallback);
    let at = told.map(|(at, _)| at).max(counted)?;
    let later = |other: Option<Millis>, by: i64| other.is_some_and(|other| other.since(at) > by);
    // A change that no other fallback comes with is a whole one.
    let is_over = later(succeeded(to, said), 0) || later(to.changed, TOGETHER) || is_old(at, counted, now);
    if is_over {
        return None;
    }
    let why = told.map_or("by its metrics", |(_, event)| &*event.message).to_owned();
    Some(Trouble { loading: Loading::Fallback, at, why, blamed: blamed(said.events, at) })
}

/// By Events alone: nobody has said so for long.
fn is_old(at: Millis, counted: Option<Millis>, now: Millis) -> bool {
    counted.is_none() && now.since(at) > BELIEVED
}

/// Nothing arrives.
fn refused(to: &Pushed<'_>, said: Said<'_>, now: Millis) -> Option<Trouble> {
    let told = newest(said.events, FAILED, to).filter(|(_, event)| event.message.contains("HTTP status 4"));
    let counts = said.counted.and_then(|c| c.of(to.address));
    let counted = counts.and_then(|c| c.refused);
    let at = told.map(|(at, _)| at).max(counted)?;
    let later = |other: Option<Millis>| other.is_some_and(|other| other > at);
    // A refusal that the metrics count ends with the success that they count; the times of both are of two clocks.
    let by_events = || counted.is_none() && (later(succeeded(to, said)) || is_old(at, counted, now));
    if later(to.changed) || by_events() {
        return None;
    }
    let why = told.map_or("by its metrics", |(_, event)| &*event.message).to_owned();
    Some(Trouble { loading: Loading::Refused, at, why, blamed: blamed(said.events, at) })
}

/// The objects that are to blame for what happened at that time, the newest first.
fn blamed(events: &[&Event], at: Millis) -> Vec<Blame> {
    let is_blame = |e: &&&Event| &*e.reason == FAILED && &*e.involved_object.kind != "Pod";
    let mut all: Vec<(Millis, Blame)> = events
        .iter()
        .filter(is_blame)
        .filter_map(|e| {
            let last = Millis::from(e.last()?);
            let blame = Blame { object: e.involved_object.shown(), why: Some(e.message.to_string()) };
            (at.since(last) <= REPEATED).then_some((last, blame))
        })
        .collect();
    all.sort_by(|a, b| b.cmp(a));
    let mut named: Vec<Blame> = Vec::new();
    for (_, blame) in all {
        if named.len() < NAMED && !named.contains(&blame) {
            named.push(blame);
        }
    }
    named
}

/// It waits for its first push longer than a start takes.
fn empty(to: &Pushed<'_>, now: Millis) -> Option<Trouble> {
    let why = "its configuration hash is zeros".to_owned();
    to.empty.then(|| Trouble { loading: Loading::Empty, at: now, why, blamed: Vec::new() })
}

/// Another pod hangs, and its fellows wait for it.
fn held_back(to: &Pushed<'_>, endpoints: &[Pushed<'_>], now: Millis) -> Option<Trouble> {
    if to.silent.is_some() {
        return None;
    }
    let hangs = |other: &&Pushed<'_>| other.endpoint != to.endpoint && other.silent.is_some();
    let (since, hung) = endpoints.iter().filter(hangs).filter_map(|o| Some((o.silent?, o.endpoint))).min()?;
    let has_moved = to.changed.is_some_and(|changed| changed > since);
    if has_moved || now.since(since) > HOLDS_UP {
        return None;
    }
    let why = format!("pod {hung} takes requests and does not answer");
    Some(Trouble {
        loading: Loading::HeldBack,
        at: since,
        why,
        blamed: vec![Blame { object: format!("pod {hung}"), why: None }],
    })
}

#[cfg(test)]
mod tests;
