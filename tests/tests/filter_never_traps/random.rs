//! Random histories: any callback with any arguments in any order, any answer at any time, faults, odd clocks.
use super::dice::Dice;
use super::scenario::{BAD, DECLARED, FULL, LEAST, PARTS, SAID, WHOLE, answers};
use super::verdict;
use certdrift_tests::host::{
    Answer, Callback, Fault, FaultPlan, HostCall, Profile, START, Wasm, Worker, status,
};
use certdrift_tests::ledgers::{full, ledger};
use std::sync::LazyLock;
use std::time::Duration;

/// A ledger of nothing, as text: made once, since making it took a fifth of a history's time.
static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(|| ledger(START, Vec::new()).to_bytes());

/// Runs the history of that seed; tells what went wrong, if anything.
pub(crate) fn history(wasm: &Wasm, seed: u64) -> Option<String> {
    let mut dice = Dice::new(seed);
    let mut worker = Worker::new(dice.one_of(&Profile::ALL), wasm).forgiving();
    worker.faults(plan(&mut dice));
    let mut own = Dice::new(dice.any());
    let mut in_turn = answers();
    worker.answer(move |call| match own.below(12) {
        0..4 => WHOLE.answer(call),
        4..7 => PARTS.answer(call),
        _ => answer(&mut own, || in_turn(call)),
    });
    for _ in 0..1 + dice.below(25) {
        step(&mut worker, &mut dice);
        let wrong = verdict(&worker);
        if wrong.is_some() {
            return wrong;
        }
    }
    None
}

fn plan(dice: &mut Dice) -> FaultPlan {
    let mut plan = FaultPlan::none();
    for _ in 0..dice.below(5) {
        let call = dice.one_of(HostCall::ALL);
        let fault = fault(dice);
        plan = match dice.below(3) {
            0 => plan.always(call, fault),
            1 => plan.nth(call, dice.below(12), fault),
            _ => plan.at(dice.below(200), fault),
        };
    }
    plan
}

fn fault(dice: &mut Dice) -> Fault {
    match dice.below(8) {
        0..4 => Fault::Status(dice.one_of(&status::ALL)),
        4 => Fault::Nothing,
        5 => Fault::Bytes(dice.bytes(300)),
        6 => Fault::Bytes(text(dice)),
        _ => Fault::Number(number(dice)),
    }
}

fn number(dice: &mut Dice) -> u64 {
    match dice.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => dice.any(),
        3 => u64::from(u32::MAX) + dice.below(3),
        _ => dice.below(10),
    }
}

fn answer(dice: &mut Dice, in_turn: impl FnOnce() -> Answer) -> Answer {
    let answer = match dice.below(10) {
        0 => Answer::document(mangled(dice, EMPTY.clone()), "\"m\""),
        1 => Answer::document(dice.bytes(200), "\"r\""),
        2 => Answer::response(
            u16::try_from(dice.below(1000)).unwrap_or(0),
            &[("etag", "\u{1}")],
            dice.bytes(20),
        ),
        3 => Answer::raw(vec![(b":status".to_vec(), dice.bytes(4))], Ok(dice.bytes(4))),
        4 => Answer::raw(vec![(b":status".to_vec(), b"200".to_vec())], Err(dice.one_of(&status::ALL))),
        5 => Answer::closed_early(dice.one_of(&status::ALL)),
        6 => Answer::silent(),
        _ => in_turn(),
    };
    let late = dice.one_of(&[0, 0, 0, 300, 5_000, 400_000]);
    answer.after(Duration::from_millis(late))
}

fn mangled(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..dice.below(4) {
        let at = usize::try_from(dice.below(bytes.len() as u64)).unwrap_or_default();
        match dice.below(3) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = dice.any().to_le_bytes()[0],
            _ => bytes.insert(at.min(bytes.len()), dice.one_of(b"{}[]\",:0\\\xff")),
        }
    }
    bytes
}

fn step(worker: &mut Worker, dice: &mut Dice) {
    match dice.below(16) {
        0 | 1 => {
            let config = config(dice);
            worker.root(config);
        }
        2 | 3 => {
            worker.advance(dice.below(8));
        }
        4 => {
            worker.advance(dice.one_of(&[1, 60, 700]));
        }
        5 => {
            let now = worker.now();
            let clock = match dice.below(4) {
                0 => dice.below(18_000_000_000),
                1 => now.saturating_sub(dice.below(1_000_000)),
                2 => 0,
                _ => now + dice.below(100_000),
            };
            worker.set_clock(clock);
        }
        6 => {
            worker.settle();
        }
        7 | 8 => raw(worker, dice),
        9 => {
            let plan = plan(dice);
            worker.faults(plan);
        }
        10 => request(worker, dice).abort(),
        _ => {
            let _ = request(worker, dice).send();
        }
    }
}

fn config(dice: &mut Dice) -> Vec<u8> {
    match dice.below(7) {
        0 | 1 => FULL.into(),
        2 => LEAST.into(),
        3 => DECLARED.into(),
        6 => SAID.into(),
        4 => dice.one_of(&BAD).to_vec(),
        _ => mangled(dice, FULL.into()),
    }
}

/// A request may be open already, never opened, or long gone; a context may be a root's.
fn raw(worker: &mut Worker, dice: &mut Dice) {
    for _ in 0..1 + dice.below(6) {
        let callback = dice.one_of(Callback::ALL);
        let mut arguments = [0; 5];
        arguments[0] = dice.one_of(&[0, 1, 2, 3, 4, 9, u32::MAX]);
        for argument in &mut arguments[1..] {
            *argument = match dice.below(5) {
                0 => 0,
                1 => u32::try_from(dice.below(5)).unwrap_or_default(),
                2 => 4096,
                3 => u32::MAX,
                _ => u32::try_from(dice.any() >> 32).unwrap_or_default(),
            };
        }
        if dice.once_in(3) {
            arguments[0] = request(worker, dice).open();
        }
        worker.callback_or_trap(callback, &arguments);
    }
}

fn text(dice: &mut Dice) -> Vec<u8> {
    let now = START + dice.below(400);
    let served = dice.one_of(&["new", "old", "newest", "other", "default", "certificate-1", "nobody's"]);
    let sni =
        dice.one_of(&["demo.example.com", "x.demo.example.com", "h1.example.com", "-", "stranger", "\u{0}"]);
    let line = full(now, served, sni).into_bytes();
    match dice.below(5) {
        0 => mangled(dice, line),
        1 => dice
            .one_of(&["/certdrift/report?hosts=all", "/certdrift", "GET", "HEAD", "127.0.0.1"])
            .as_bytes()
            .to_vec(),
        _ => line,
    }
}

fn request<'w>(worker: &'w mut Worker, dice: &mut Dice) -> certdrift_tests::host::Request<'w> {
    let root = u32::try_from(1 + dice.below(4)).unwrap_or_default();
    let mut request = if dice.once_in(3) { worker.request_on(root) } else { worker.request() };
    if !dice.once_in(4) {
        request = request.property(["ngx", "certdrift"], text(dice));
    }
    if dice.once_in(4) {
        let path: &[u8] = dice.one_of(&[
            b"/certdrift/livez",
            b"/certdrift/readyz",
            b"/certdrift/healthz",
            b"/certdrift/report?hosts=all",
            b"/certdrift/report?hosts=demo.example.com,,%2e%",
            b"/certdrift/\xff",
            b"",
        ]);
        request = request.header(":path", path);
    }
    if dice.once_in(5) {
        request = request.method(dice.one_of(&["HEAD", "POST", "", "\u{7f}"]));
    }
    if dice.once_in(5) {
        request = request.peer(dice.one_of(&["10.0.0.1", "::1", "", "unix:", "300.1.1.1"]));
    }
    if dice.once_in(5) {
        let sha = text(dice).get(19..83).unwrap_or_default().to_vec();
        request = request
            .property(["metadata", "filter_metadata", "certdrift", "sha256"], sha)
            .property(["connection", "requested_server_name"], dice.bytes(300));
    }
    if dice.once_in(8) {
        request = request.without_header(":path").header("x-certdrift-token", dice.bytes(20));
    }
    request
}
