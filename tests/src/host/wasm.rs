//! WebAssembly modules: where they are, how they are built, and whether a host of ours can run them.
use super::abi::{Callback, HostCall};
use super::imports;
use super::state::State;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use wasmtime::{Config, Engine, InstancePre, Linker, Module};

/// A filter, compiled and linked to the host calls; cheap to clone.
#[derive(Clone)]
pub struct Wasm {
    pub(crate) pre: Arc<InstancePre<State>>,
    /// Of the module as it was read.
    bytes: usize,
}

/// Why a module cannot be run.
#[derive(Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Not readable, or no WebAssembly.
    Module(String),
    /// It imports what no host provides; `module.name`, WASI among them.
    Import(String),
    /// It does not export what a host needs.
    Export(&'static str),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(why) => write!(f, "no WebAssembly module: {why}"),
            Self::Import(name) => write!(
                f,
                "it imports {name}, which no gateway's host provides; build it for wasm32-unknown-unknown, without WASI"
            ),
            Self::Export(name) => write!(f, "it does not export {name}, which every gateway's host needs"),
        }
    }
}

impl std::error::Error for LoadError {}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.consume_fuel(true);
        Engine::new(&config).expect("wasmtime runs on this machine")
    })
}

impl Wasm {
    /// Compiles a module and checks that a gateway could load it.
    ///
    /// # Errors
    /// What a gateway would miss.
    pub fn new(bytes: &[u8]) -> Result<Self, LoadError> {
        let module = Module::new(engine(), bytes).map_err(|e| LoadError::Module(format!("{e:#}")))?;
        for import in module.imports() {
            if import.module() != "env" || HostCall::named(import.name()).is_none() {
                return Err(LoadError::Import(format!("{}.{}", import.module(), import.name())));
            }
        }
        let exported = |name: &str| module.get_export(name).is_some();
        for (needed, or) in [
            ("memory", "memory"),
            ("proxy_abi_version_0_2_1", "proxy_abi_version_0_2_0"),
            ("proxy_on_memory_allocate", "malloc"),
            (Callback::ContextCreate.name(), Callback::ContextCreate.name()),
        ] {
            if !exported(needed) && !exported(or) {
                return Err(LoadError::Export(needed));
            }
        }
        let mut linker = Linker::new(engine());
        imports::define(&mut linker).expect("each host call is defined once");
        let pre = linker.instantiate_pre(&module).map_err(|e| LoadError::Module(format!("{e:#}")))?;
        Ok(Self { pre: Arc::new(pre), bytes: bytes.len() })
    }

    /// The module of that file; compiled once a process.
    ///
    /// # Panics
    /// When it cannot be read or no gateway could load it.
    #[must_use]
    #[track_caller]
    pub fn load(path: &Path) -> Self {
        static LOADED: Mutex<Option<HashMap<PathBuf, Wasm>>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = loaded.get_or_insert_default();
        if let Some(wasm) = loaded.get(path) {
            return wasm.clone();
        }
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let wasm = Self::new(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        loaded.insert(path.to_owned(), wasm.clone());
        wasm
    }

    /// certdrift's filter as it ships: the file that `CERTDRIFT_WASM` names, else built from this tree.
    ///
    /// # Panics
    /// When there is none and it cannot be built.
    #[must_use]
    pub fn certdrift() -> Self {
        Self::load(&xtask::build::wasm().unwrap_or_else(|e| panic!("the filter cannot be built: {e:#}")))
    }

    /// The filter that does nothing, built with the SDK.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn noop() -> Self {
        Self::load(&built("certdrift-noop-filter"))
    }

    /// The filter that does on command what certdrift's must never do; see `tests/odd/`.
    ///
    /// # Panics
    /// When it cannot be built.
    #[must_use]
    pub fn odd() -> Self {
        Self::load(&built("certdrift-odd-filter"))
    }

    /// Names of the host calls it imports.
    #[must_use]
    pub fn imports(&self) -> Vec<String> {
        self.pre.module().imports().map(|import| import.name().to_owned()).collect()
    }

    /// Size of the module's file in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Debug for Wasm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasm").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The module of a crate of this workspace, built once a process; cargo's own lock keeps processes apart.
fn built(package: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let module =
        || xtask::wasm32::module(package).unwrap_or_else(|e| panic!("{package} cannot be built: {e:#}"));
    built.get_or_insert_default().entry(package.to_owned()).or_insert_with(module).clone()
}
