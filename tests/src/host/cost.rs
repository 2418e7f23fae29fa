//! What callbacks cost: wasmtime's fuel (about an instruction each; repeats exactly for the same module) and host calls by name.
use super::abi::{Callback, HostCall};
use std::fmt;

/// What was spent, since the worker began or, as a difference, in between.
#[derive(Clone, PartialEq, Eq)]
pub struct Cost {
    /// Fuel.
    pub fuel: u64,
    calls: [u64; HostCall::COUNT],
}

impl Cost {
    /// Nothing spent.
    pub const NONE: Self = Self { fuel: 0, calls: [0; HostCall::COUNT] };

    /// Host calls of that name.
    #[must_use]
    pub fn calls_of(&self, call: HostCall) -> u64 {
        self.calls[call as usize]
    }

    /// Host calls of all names.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.iter().sum()
    }

    /// What was spent since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut calls = self.calls;
        for (now, then) in calls.iter_mut().zip(earlier.calls) {
            *now -= then;
        }
        Self { fuel: self.fuel - earlier.fuel, calls }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut calls = self.calls;
        for (sum, more) in calls.iter_mut().zip(other.calls) {
            *sum += more;
        }
        Self { fuel: self.fuel + other.fuel, calls }
    }
}

impl fmt::Debug for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fuel {}", self.fuel)?;
        for call in HostCall::ALL.iter().filter(|c| self.calls_of(**c) > 0) {
            write!(f, ", {call} × {}", self.calls_of(*call))?;
        }
        Ok(())
    }
}

/// Costs by callback.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    by_callback: Box<[Cost; Callback::COUNT]>,
    current: usize,
}

impl Costs {
    pub(crate) fn new() -> Self {
        Self { by_callback: Box::new([const { Cost::NONE }; Callback::COUNT]), current: 0 }
    }

    pub(crate) fn enter(&mut self, callback: Callback) {
        self.current = callback as usize;
    }

    pub(crate) fn host_call(&mut self, call: HostCall) {
        self.by_callback[self.current].calls[call as usize] += 1;
    }

    pub(crate) fn fuel(&mut self, fuel: u64) {
        self.by_callback[self.current].fuel += fuel;
    }

    pub(crate) fn of(&self, callback: Callback) -> &Cost {
        &self.by_callback[callback as usize]
    }

    pub(crate) fn total(&self) -> Cost {
        self.by_callback.iter().fold(Cost::NONE, |sum, cost| sum.plus(cost))
    }
}
