//! Why one host on one endpoint drifts. Pure: facts in, the cause out, or what is missing to tell it.
//!
//! A cause is named only where its evidence is there and no fact that is not known could still make it another: what
//! becomes known later turns "cannot tell" into a cause, and never one cause into another (the tests go through all
//! facts there can be).
use super::cause::Cause;
use super::facts::{Facts, Given, Loading, Workers};
use super::lack::Lack;

/// The cause; where it is [`Cause::Unexplained`], why it cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The cause.
    pub cause: Cause,
    /// What is missing, in the order in which it is asked; empty where the cause is told.
    pub lacks: Vec<Lack>,
}

impl From<Cause> for Reason {
    fn from(cause: Cause) -> Self {
        Self { cause, lacks: Vec::new() }
    }
}

/// Nothing can be told, because of these.
fn cannot(lacks: impl IntoIterator<Item = Lack>) -> Reason {
    Reason { cause: Cause::Unexplained, lacks: lacks.into_iter().collect() }
}

/// Names the cause of a drift.
#[must_use]
pub fn reason(facts: &Facts) -> Reason {
    if facts.stored_is_worse {
        return Cause::InvalidNew.into();
    }
    if facts.edge {
        return at_the_edge(facts);
    }
    // Without a configuration there is nothing that workers could differ in.
    if facts.given == Given::Pushed && facts.loading == Some(Loading::Empty) && facts.serves_default {
        return Cause::PodEmpty.into();
    }
    match facts.workers {
        Some(Workers::Differ) => Cause::StaleWorker.into(),
        Some(Workers::Alike) => match facts.given {
            Given::Pushed => pushed(facts),
            Given::File | Given::Once => read(facts),
        },
        None => cannot(std::iter::once(Lack::Workers).chain(also_missing(facts))),
    }
}

fn at_the_edge(facts: &Facts) -> Reason {
    match facts.fellows {
        fellows if fellows.wrong > 0 => Cause::BehindGateway.into(),
        // One that was not seen may be wrong.
        fellows if fellows.right > 0 && fellows.unseen == 0 => Cause::Edge.into(),
        _ => cannot([Lack::Gateway]),
    }
}

/// All its workers are wrong, and it is pushed its configuration.
fn pushed(facts: &Facts) -> Reason {
    let fellows = facts.fellows;
    // A fellow has loaded this very change and serves it: whatever is said of pushes, this one has missed it.
    if facts.behind == Some(true) && fellows.right > 0 {
        return Cause::PodBehind.into();
    }
    let may_have_missed_it = facts.behind != Some(false) && (fellows.right > 0 || fellows.unseen > 0);
    let kept_away = match facts.loading {
        Some(Loading::Refused) => Some(Cause::PushFailing),
        Some(Loading::HeldBack) => Some(Cause::HeldBack),
        // What still serves the certificate before was left out of no configuration.
        Some(Loading::Fallback) if facts.serves_default => Some(Cause::Fallback),
        Some(Loading::Starting) => return cannot([Lack::Starting]),
        Some(_) => None,
        None => return cannot(std::iter::once(Lack::Pushes).chain(also_missing_of_pushed(facts))),
    };
    if let Some(cause) = kept_away {
        return if may_have_missed_it { cannot([Lack::Fellows]) } else { cause.into() };
    }
    if facts.serves_default && facts.behind.is_none() {
        // It may be behind, or have no configuration at all.
        return cannot([Lack::Configuration]);
    }
    if facts.fellows.right > 0 || facts.behind == Some(true) {
        return Cause::PodBehind.into();
    }
    let missing: Vec<Lack> = also_missing_of_pushed(facts).collect();
    if !missing.is_empty() {
        return cannot(missing);
    }
    match facts.stored_after_push {
        Some(true) => Cause::NotPushed.into(),
        _ => cannot([Lack::PushedSince]),
    }
}

/// All its workers are wrong, and it reads the certificate from a file.
fn read(facts: &Facts) -> Reason {
    match (facts.stored_after_start, facts.given) {
        (Some(true), Given::Once) => Cause::NotReloadable.into(),
        (Some(true), _) => Cause::FileNotReloaded.into(),
        (Some(false), _) if facts.fellows.right > 0 => Cause::PodBehind.into(),
        (Some(false), _) if facts.fellows.unseen > 0 => cannot([Lack::Fellows]),
        (Some(false), _) => cannot([Lack::StartedSince]),
        (None, _) => cannot([Lack::Start]),
    }
}

/// What else is not known, so that all of it is told at once.
fn also_missing(facts: &Facts) -> impl Iterator<Item = Lack> {
    let start = facts.given != Given::Pushed && facts.stored_after_start.is_none();
    let pushes = facts.given == Given::Pushed && facts.loading.is_none();
    [(start, Lack::Start), (pushes, Lack::Pushes)].into_iter().filter_map(|(is, lack)| is.then_some(lack))
}

fn also_missing_of_pushed(facts: &Facts) -> impl Iterator<Item = Lack> {
    let told = facts.fellows.right > 0 || facts.behind == Some(true);
    let fellows = !told && facts.fellows.unseen > 0;
    let configuration = !told && (facts.stored_after_push.is_none() || facts.behind.is_none());
    [(fellows, Lack::Fellows), (configuration, Lack::Configuration)]
        .into_iter()
        .filter_map(|(is, lack)| is.then_some(lack))
}

#[cfg(test)]
mod tests;
