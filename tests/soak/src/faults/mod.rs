//! The faults, by name: what is done in each, and what must come of it.
mod api_server;
mod gateway;
mod lease;
mod remedy;
mod standalone;
mod stored;

use crate::chance::Chance;
use crate::scene::Ground;

/// A fault.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// Its name; also that of the patch that breaks what handles it: `tests/broken/NAME.patch`.
    pub(crate) name: &'static str,
    /// What happens.
    pub(crate) what: &'static str,
    /// Whether it needs a cluster.
    pub(crate) in_cluster: bool,
    /// Seconds that it takes by itself; long ones are begun first.
    pub(crate) takes: u64,
    /// Plays it; panics when something is not as it must be.
    pub(crate) play: fn(&'static Ground, Chance),
}

/// All of them.
pub(crate) fn all() -> Vec<Fault> {
    [api_server::FAULTS, lease::FAULTS, stored::FAULTS, gateway::FAULTS, remedy::FAULTS, standalone::FAULTS]
        .concat()
}

/// A row of a table of faults.
const fn fault(
    name: &'static str,
    what: &'static str,
    takes: u64,
    play: fn(&'static Ground, Chance),
) -> Fault {
    Fault { name, what, in_cluster: false, takes, play }
}

/// As [`fault`], beside a real API server.
const fn beside(
    name: &'static str,
    what: &'static str,
    takes: u64,
    play: fn(&'static Ground, Chance),
) -> Fault {
    Fault { name, what, in_cluster: true, takes, play }
}
