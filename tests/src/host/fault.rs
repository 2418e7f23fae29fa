//! The fault plan: which host call answers something else than it would, and what.
use super::abi::HostCall;
use std::collections::HashMap;

/// What a host call does instead of its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers this status and does nothing. `OK` is as [`Fault::Nothing`].
    Status(u32),
    /// Answers `OK` and leaves the outputs as the filter had set them (null, zero). Calls without outputs do their work.
    Nothing,
    /// Answers `OK`; where it returns bytes, these instead of the true ones. Other calls do their work.
    Bytes(Vec<u8>),
    /// Answers `OK`; where it returns a number (time, metric, token, id), this one. Other calls do their work.
    Number(u64),
}

/// Which calls go wrong. Empty by default: all go right.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    always: HashMap<HostCall, Fault>,
    nth_of_name: HashMap<(HostCall, u64), Fault>,
    nth_of_all: HashMap<u64, Fault>,
}

impl FaultPlan {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every call of that name.
    #[must_use]
    pub fn always(mut self, call: HostCall, fault: Fault) -> Self {
        self.always.insert(call, fault);
        self
    }

    /// The `nth` call of that name (from 0) since the plan was set.
    #[must_use]
    pub fn nth(mut self, call: HostCall, nth: u64, fault: Fault) -> Self {
        self.nth_of_name.insert((call, nth), fault);
        self
    }

    /// The `nth` call of any name (from 0) since the plan was set.
    #[must_use]
    pub fn at(mut self, nth: u64, fault: Fault) -> Self {
        self.nth_of_all.insert(nth, fault);
        self
    }

    fn find(&self, call: HostCall, of_name: u64, of_all: u64) -> Option<&Fault> {
        self.nth_of_all
            .get(&of_all)
            .or_else(|| self.nth_of_name.get(&(call, of_name)))
            .or_else(|| self.always.get(&call))
    }
}

/// A plan being carried out.
#[derive(Debug)]
pub(crate) struct Faults {
    plan: FaultPlan,
    made: [u64; HostCall::COUNT],
    all: u64,
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        Self { plan, made: [0; HostCall::COUNT], all: 0 }
    }

    pub(crate) fn next(&mut self, call: HostCall) -> Option<Fault> {
        let of_name = self.made[call as usize];
        let fault = self.plan.find(call, of_name, self.all).cloned();
        self.made[call as usize] += 1;
        self.all += 1;
        fault
    }
}
