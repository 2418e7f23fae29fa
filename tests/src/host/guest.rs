//! One instance of a filter: its exports, called with fuel.
use super::abi::Callback;
use super::state::State;
use super::wasm::Wasm;
use std::fmt;
use wasmtime::{Memory, Result, Store, TypedFunc};

/// Some seconds of one core. A callback that burns more than that hangs its gateway, and counts as a trap.
const FUEL: u64 = 5_000_000_000;

/// A callback that did not return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Which.
    pub callback: Callback,
    /// Its arguments; the first is the context.
    pub arguments: Vec<u32>,
    /// wasmtime's word, and what the filter logged last.
    pub why: String,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the filter trapped in {}{:?}: {}", self.callback, self.arguments, self.why)
    }
}

impl std::error::Error for Trap {}

#[derive(Clone)]
enum Export {
    One(TypedFunc<u32, ()>),
    OneGives(TypedFunc<u32, u32>),
    Two(TypedFunc<(u32, u32), ()>),
    TwoGives(TypedFunc<(u32, u32), u32>),
    Three(TypedFunc<(u32, u32, u32), ()>),
    ThreeGives(TypedFunc<(u32, u32, u32), u32>),
    Five(TypedFunc<(u32, u32, u32, u32, u32), ()>),
}

pub(crate) struct Guest {
    exports: Vec<Option<Export>>,
    memory: Memory,
}

impl Guest {
    /// Makes an instance in `store` and runs its `_initialize`.
    pub(crate) fn start(wasm: &Wasm, store: &mut Store<State>) -> Result<Self> {
        store.set_fuel(FUEL)?;
        let instance = wasm.pre.instantiate(&mut *store)?;
        let memory = instance
            .get_memory(&mut *store, "memory")
            .ok_or_else(|| wasmtime::format_err!("the filter exports no memory"))?;
        let malloc = ["proxy_on_memory_allocate", "malloc"]
            .iter()
            .find_map(|name| instance.get_typed_func::<u32, u32>(&mut *store, name).ok());
        store.data_mut().memory = Some(memory);
        store.data_mut().malloc = malloc;
        let mut exports = Vec::with_capacity(Callback::COUNT);
        for callback in Callback::ALL {
            exports.push(match instance.get_func(&mut *store, callback.name()) {
                None => None,
                Some(func) => {
                    let ty = func.ty(&*store);
                    Some(match (ty.params().len(), ty.results().len()) {
                        (1, 0) => Export::One(func.typed(&*store)?),
                        (1, _) => Export::OneGives(func.typed(&*store)?),
                        (2, 0) => Export::Two(func.typed(&*store)?),
                        (2, _) => Export::TwoGives(func.typed(&*store)?),
                        (3, 0) => Export::Three(func.typed(&*store)?),
                        (3, _) => Export::ThreeGives(func.typed(&*store)?),
                        _ => Export::Five(func.typed(&*store)?),
                    })
                }
            });
        }
        if let Some(start) = ["_initialize", "_start"]
            .iter()
            .find_map(|n| instance.get_typed_func::<(), ()>(&mut *store, n).ok())
        {
            start.call(&mut *store, ())?;
        }
        Ok(Self { exports, memory })
    }

    /// Calls a callback; missing arguments are 0. One that the filter does not export answers `otherwise`.
    pub(crate) fn call(
        &self,
        store: &mut Store<State>,
        callback: Callback,
        arguments: &[u32],
        otherwise: u32,
    ) -> std::result::Result<u32, Trap> {
        let Some(export) = &self.exports[callback as usize] else { return Ok(otherwise) };
        let a = |n: usize| arguments.get(n).copied().unwrap_or_default();
        store.data_mut().effective = a(0);
        store.data_mut().costs.enter(callback);
        let trapped = |store: &Store<State>, error: &wasmtime::Error| {
            let last = store.data().logs.last().map(|line| line.text.as_str()).unwrap_or_default();
            Trap { callback, arguments: arguments.to_vec(), why: format!("{error:#}; last logged: {last:?}") }
        };
        store.set_fuel(FUEL).map_err(|e| trapped(store, &e))?;
        let result = match export {
            Export::One(f) => f.call(&mut *store, a(0)).map(|()| otherwise),
            Export::OneGives(f) => f.call(&mut *store, a(0)),
            Export::Two(f) => f.call(&mut *store, (a(0), a(1))).map(|()| otherwise),
            Export::TwoGives(f) => f.call(&mut *store, (a(0), a(1))),
            Export::Three(f) => f.call(&mut *store, (a(0), a(1), a(2))).map(|()| otherwise),
            Export::ThreeGives(f) => f.call(&mut *store, (a(0), a(1), a(2))),
            Export::Five(f) => f.call(&mut *store, (a(0), a(1), a(2), a(3), a(4))).map(|()| otherwise),
        };
        let left = store.get_fuel().unwrap_or_default();
        store.data_mut().costs.fuel(FUEL - left);
        result.map_err(|e| trapped(store, &e))
    }

    /// Size of its memory in pages of 64 KiB.
    pub(crate) fn pages(&self, store: &Store<State>) -> u64 {
        self.memory.size(store)
    }
}
