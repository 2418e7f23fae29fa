//! A worker of a gateway: one instance of the filter, its root contexts, its clock, its calls.
mod told;

use super::abi::Callback;
use super::call::{Answer, Call, Outcome};
use super::fault::{FaultPlan, Faults};
use super::guest::{Guest, Trap};
use super::profile::{OnTrap, Profile};
use super::request::Request;
use super::state::{Root, SECOND, State, Stream};
use super::wasm::Wasm;
use wasmtime::Store;

/// A filter whose calls never come to an end hangs its gateway.
const ROUNDS: usize = 10_000;

/// One worker process of a gateway. See the module's documentation.
pub struct Worker {
    wasm: Wasm,
    pub(crate) store: Store<State>,
    guest: Option<Guest>,
    answer: Box<dyn FnMut(&Call) -> Answer>,
    deliveries: Vec<Delivery>,
    calls: Vec<Call>,
    forgiving: bool,
    off: Option<String>,
    traps: Vec<Trap>,
    next_context: u32,
}

struct Delivery {
    at: u64,
    call: Call,
    outcome: Outcome,
}

impl Worker {
    /// A worker that has loaded the filter and knows no root context yet.
    ///
    /// # Panics
    /// When the filter traps while it is loaded.
    #[must_use]
    #[track_caller]
    pub fn new(profile: &'static Profile, wasm: &Wasm) -> Self {
        let mut store = Store::new(wasm.pre.module().engine(), State::new(profile));
        let guest =
            Guest::start(wasm, &mut store).unwrap_or_else(|e| panic!("the filter does not start: {e:#}"));
        Self {
            wasm: wasm.clone(),
            store,
            guest: Some(guest),
            answer: Box::new(|_| Answer::refused()),
            deliveries: Vec::new(),
            calls: Vec::new(),
            forgiving: false,
            off: None,
            traps: Vec::new(),
            next_context: 1,
        }
    }

    /// From now on a trap, or `false` from `on_configure`, does to the worker what it does to a gateway's, instead
    /// of failing the test; see [`Self::traps`] and [`Self::off`].
    #[must_use]
    pub fn forgiving(mut self) -> Self {
        self.forgiving = true;
        self
    }

    /// How the filter's calls are answered from now on. Until then everything is refused.
    pub fn answer(&mut self, answer: impl FnMut(&Call) -> Answer + 'static) -> &mut Self {
        self.answer = Box::new(answer);
        self
    }

    /// Which host calls go wrong from now on.
    pub fn faults(&mut self, plan: FaultPlan) -> &mut Self {
        self.store.data_mut().faults = Some(Box::new(Faults::new(plan)));
        self
    }

    /// From now on all host calls go right.
    pub fn no_faults(&mut self) -> &mut Self {
        self.store.data_mut().faults = None;
        self
    }

    /// A property told in any context, as `["plugin_name"]` or `["node", "id"]`.
    pub fn property<const N: usize>(&mut self, path: [&str; N], value: impl AsRef<[u8]>) -> &mut Self {
        let path = path.join("\0").into_bytes();
        let properties = &mut self.store.data_mut().properties;
        properties.retain(|(name, _)| *name != path);
        properties.push((path, value.as_ref().to_vec()));
        self
    }

    /// Makes a root context: one route or service with the filter and this configuration. Returns its id.
    ///
    /// # Panics
    /// When the filter traps or refuses, unless the worker is [`Self::forgiving`].
    #[track_caller]
    pub fn root(&mut self, config: impl AsRef<[u8]>) -> u32 {
        let id = self.next_context();
        self.store.data_mut().roots.push(Root { id, config: config.as_ref().to_vec() });
        self.configure(id);
        self.settle();
        id
    }

    #[track_caller]
    fn configure(&mut self, id: u32) {
        let size = self.store.data().roots.iter().find(|r| r.id == id).map_or(0, |r| r.config.len());
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let started = self
            .callback(Callback::ContextCreate, &[id, 0])
            .and_then(|_| self.callback(Callback::VmStart, &[id, 0]))
            .and_then(|started| Ok((started, self.callback(Callback::Configure, &[id, size])?)));
        match started {
            Ok((started, configured)) if started != 0 && configured != 0 => {}
            Ok((started, _)) => {
                let which = if started == 0 { Callback::VmStart } else { Callback::Configure };
                self.switch_off(format!("{which} returned false"));
            }
            Err(trap) => {
                self.switch_off(trap.to_string());
                self.traps.push(trap);
            }
        }
    }

    /// Host notes, trap 1: every Wasm filter on the node is off, unfiltered.
    #[track_caller]
    fn switch_off(&mut self, why: String) {
        assert!(self.forgiving, "{why}: a gateway would run unfiltered");
        self.off = Some(why);
        self.store.data_mut().timers.clear();
        self.deliveries.clear();
    }

    /// Why the filter is off, if it is: requests then pass unfiltered.
    #[must_use]
    pub fn off(&self) -> Option<&str> {
        self.off.as_deref()
    }

    /// A client's request through the first root context.
    pub fn request(&mut self) -> Request<'_> {
        let root = self.store.data().roots.first().map_or(0, |root| root.id);
        self.request_on(root)
    }

    /// A client's request through this root context.
    pub fn request_on(&mut self, root: u32) -> Request<'_> {
        Request::new(self, root)
    }

    /// Moves the clock to the next timer that is due, and lets all ring that are due then.
    ///
    /// # Panics
    /// When no root context asked for ticks.
    #[track_caller]
    pub fn tick(&mut self) -> &mut Self {
        let due = self.store.data().timers.iter().map(|timer| timer.due).min();
        let due = due.expect("no root context asked for ticks (proxy_set_tick_period_milliseconds)");
        self.advance_to(due);
        self
    }

    /// Moves the clock; timers ring and answers arrive at their times.
    #[track_caller]
    pub fn advance(&mut self, seconds: u64) -> &mut Self {
        let to = self.store.data().now + seconds * SECOND;
        self.advance_to(to);
        self
    }

    /// Sets the clock without anything ringing, as when the machine's clock is set: back as well as forth.
    pub fn set_clock(&mut self, seconds: u64) -> &mut Self {
        let state = self.store.data_mut();
        let (was, is) = (state.now, seconds * SECOND);
        state.now = is;
        for timer in &mut state.timers {
            timer.due = is + timer.due.saturating_sub(was);
        }
        for delivery in &mut self.deliveries {
            delivery.at = is + delivery.at.saturating_sub(was);
        }
        self
    }

    /// The clock, seconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.store.data().now / SECOND
    }

    #[track_caller]
    fn advance_to(&mut self, to: u64) {
        loop {
            self.settle();
            let answer = self.deliveries.iter().map(|delivery| delivery.at).min();
            let timer = self.store.data().timers.iter().map(|timer| timer.due).min();
            let Some(next) = answer.into_iter().chain(timer).min().filter(|next| *next <= to) else { break };
            self.store.data_mut().now = next.max(self.store.data().now);
            if answer.is_some_and(|at| at <= next) {
                continue;
            }
            let state = self.store.data_mut();
            let Some(timer) = state.timers.iter_mut().find(|timer| timer.due <= next) else { continue };
            timer.due += timer.period;
            let root = timer.root;
            self.run(Callback::Tick, &[root]);
        }
        self.store.data_mut().now = to.max(self.store.data().now);
    }

    /// Calls a callback as it is, with any arguments and in any order; for hostile tests. What the filter asks for
    /// meanwhile happens at the next [`Self::settle`].
    ///
    /// # Errors
    /// The filter trapped, or it is gone since it trapped before.
    pub fn callback(&mut self, callback: Callback, arguments: &[u32]) -> Result<u32, Trap> {
        let Some(guest) = &self.guest else {
            let why = "the filter trapped before, and this gateway does not start it again".to_owned();
            return Err(Trap { callback, arguments: arguments.to_vec(), why });
        };
        let otherwise =
            u32::from(matches!(callback, Callback::VmStart | Callback::Configure | Callback::Done));
        guest.call(&mut self.store, callback, arguments, otherwise)
    }

    /// As [`Self::callback`]; a trap does to the worker what it does to a gateway's.
    #[track_caller]
    pub fn callback_or_trap(&mut self, callback: Callback, arguments: &[u32]) {
        if self.run(callback, arguments) == Some(0) && callback == Callback::Configure {
            self.switch_off(format!("{callback} returned false"));
        }
    }

    /// Calls a callback; `None` when the filter trapped, which the worker has then gone through.
    #[track_caller]
    pub(crate) fn run(&mut self, callback: Callback, arguments: &[u32]) -> Option<u32> {
        match self.callback(callback, arguments) {
            Ok(value) => Some(value),
            Err(trap) => {
                self.trapped(trap);
                None
            }
        }
    }

    /// What a trap does to the worker; host notes, trap 2.
    #[track_caller]
    fn trapped(&mut self, trap: Trap) {
        assert!(self.forgiving, "{trap}");
        self.traps.push(trap);
        self.deliveries.clear();
        let state = self.store.data_mut();
        state.calls.clear();
        state.streams.clear();
        if state.profile.on_trap == OnTrap::Closed {
            state.timers.clear();
            self.guest = None;
            return;
        }
        self.reset();
    }

    /// What a trap in this or any other filter of the same module does in Kong: the instance and all its root contexts
    /// are made anew, the old timers tick on. Metrics stay, they are the host's.
    #[track_caller]
    pub fn reset(&mut self) {
        self.deliveries.clear();
        let state = self.store.data_mut();
        state.calls.clear();
        state.streams.clear();
        state.timers.iter_mut().for_each(|timer| timer.stray = true);
        let roots: Vec<u32> = state.roots.iter().map(|root| root.id).collect();
        match Guest::start(&self.wasm, &mut self.store) {
            Ok(guest) => self.guest = Some(guest),
            Err(e) => return self.switch_off(format!("the filter does not start: {e:#}")),
        }
        for root in roots {
            self.configure(root);
        }
    }

    /// Answers the filter's calls and delivers what has arrived by now.
    ///
    /// # Panics
    /// When the filter's calls do not come to an end, or it traps and the worker is not [`Self::forgiving`].
    #[track_caller]
    pub fn settle(&mut self) -> &mut Self {
        for _ in 0..ROUNDS {
            let state = self.store.data_mut();
            if state.calls.is_empty() && self.deliveries.is_empty() {
                return self;
            }
            let (now, profile) = (state.now, state.profile);
            for call in std::mem::take(&mut state.calls) {
                let (delay, outcome) = (self.answer)(&call).outcome(&call, profile);
                let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
                self.deliveries.push(Delivery { at: now.saturating_add(delay), call: call.clone(), outcome });
                self.calls.push(call);
            }
            let due =
                self.deliveries.iter().enumerate().filter(|(_, d)| d.at <= now).min_by_key(|(_, d)| d.at);
            let Some((at, _)) = due else { return self };
            let delivery = self.deliveries.remove(at);
            self.deliver(&delivery.call, delivery.outcome);
        }
        panic!("the filter's calls do not come to an end");
    }

    #[track_caller]
    fn deliver(&mut self, call: &Call, outcome: Outcome) {
        let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let body = outcome.body.as_ref().map_or(0, Vec::len);
        let arguments = [call.context, call.token, size(outcome.headers.len()), size(body), 0];
        self.store.data_mut().answer = Some(outcome);
        self.run(Callback::HttpCallResponse, &arguments);
        self.store.data_mut().answer = None;
    }

    pub(crate) fn next_context(&mut self) -> u32 {
        let id = self.next_context;
        self.next_context += 1;
        id
    }

    /// Makes what a request's callbacks can ask for, and calls none of them; for hostile tests. Returns its context's id.
    pub(crate) fn open(&mut self, stream: Stream) -> u32 {
        let id = self.next_context();
        self.store.data_mut().streams.insert(id, stream);
        id
    }

    pub(crate) fn gone(&self) -> bool {
        self.guest.is_none()
    }
}
