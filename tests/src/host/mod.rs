//! A proxy-wasm host that behaves like a gateway's: it runs a filter's `.wasm` and answers its host calls.
//!
//! ```no_run
//! use certdrift_tests::host::{Answer, Profile, Wasm, Worker};
//!
//! let mut worker = Worker::new(Profile::kong(), &Wasm::certdrift());
//! worker.answer(|call| match call.header("if-none-match").as_str() {
//!     "\"7\"" => Answer::not_modified(),
//!     _ => Answer::document(r#"{"schema": "certdrift.dev/ledger/v1"}"#, "\"7\""),
//! });
//! worker.root(r#"{"ledger": {"locations": [{"upstream": "127.0.0.1:8787", "path": "/ledger.json"}]}}"#); // on_context_create, on_vm_start, on_configure
//! worker.tick(); // moves the fake clock to the next timer; calls made meanwhile are answered at once
//! worker.advance(60); // 60 s later: all ticks in between rang
//! let response = worker.request().tap("v1 full 1795478400 3f… demo.example.com").path("/x").send();
//! assert!(!response.from_filter && response.status == 200);
//! ```
//!
//! - A [`Worker`] is one worker process: **one** instance of the module, shared by all its root contexts ([`Worker::root`]
//!   may be called several times), as in ngx_wasm_module (host notes, trap 6).
//! - A [`Profile`] says what the gateway's kind supports, each fact with the line of the notes it comes from.
//! - The filter's calls go to the closure given to [`Worker::answer`]; see [`Answer`] for every way a call can end.
//!   `Answer::after(delay)` makes one late, `Answer::silent` makes it time out when the clock gets there.
//! - A trap or a `false` from `on_configure` fails the test, unless the worker is [`Worker::forgiving`]: then it does to
//!   the worker what it does to a gateway's (500 and reset, or closed; unfiltered).
//! - A [`FaultPlan`] makes host calls go wrong: by name, by the n-th of a name, by the n-th of all.
//! - [`Worker::measure`] gives fuel and host calls by name; both repeat exactly for the same module.
//! - [`Worker::callback`] and [`Request::open`] are for tests that do not keep to any order.
//!
//! What the SDK (0.2.5) does that a filter should know, read in its sources and shown in `tests/host_facts.rs`: nearly
//! every function of `proxy_wasm::hostcalls` **panics** on a status it does not expect (`log` on all but `Ok`; `get_buffer`,
//! `get_map_value…` on all but `Ok` and `NotFound`; `get_property` on `BadArgument` …), its dispatcher panics on a context or
//! token it does not know, and unwraps `proxy_set_effective_context` before every `on_http_call_response`.
mod abi;
mod call;
mod cost;
mod fault;
mod guest;
mod imports;
mod metric;
mod profile;
mod request;
mod state;
mod wasm;
mod worker;

pub use abi::{Callback, Headers, HostCall, buffer, header, map, status};
pub use call::{Answer, Call};
pub use cost::Cost;
pub use fault::{Fault, FaultPlan};
pub use guest::Trap;
pub use metric::{Metric, MetricKind};
pub use profile::{Empty, OnTrap, Profile, PropertyFamily, Target, TimeoutOf};
pub use request::{Request, Response};
pub use state::{Line, START};
pub use wasm::{LoadError, Wasm};
pub use worker::Worker;
