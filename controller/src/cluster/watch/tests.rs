//! The machine against a model of an API server that streams or refuses to, forgets versions, is busy, breaks off, and hangs.
use super::machine::{Act, Ask, Failure, Heard, Machine, PAGE, Pace, Problem};
use super::store::Store;
use crate::cluster::ObjectName;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn name(n: u8) -> ObjectName {
    ObjectName::new("n", &format!("o{n:03}"))
}

/// Objects with a log of changes, as etcd keeps them.
#[derive(Default)]
struct Server {
    objects: BTreeMap<ObjectName, u32>,
    log: Vec<(ObjectName, Option<u32>)>,
    compacted: usize,
    streams: bool,
    gone: bool,
    pages: usize,
    /// What the pages of a list are cut from: the objects as they were when it began, and their version.
    snapshot: (Vec<(ObjectName, u32)>, usize),
}

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// After so many events.
    Closed(usize),
    Broken(usize),
    Silent(usize),
    Gone,
    Busy,
    Forbidden,
}

impl Server {
    fn change(&mut self, n: u8, value: Option<u32>) {
        match value {
            Some(value) => self.objects.insert(name(n), value),
            None => self.objects.remove(&name(n)),
        };
        self.log.push((name(n), value));
    }

    fn version(&self) -> String {
        self.log.len().to_string()
    }

    /// Answers a request as far as the fault lets it. `puts` are done on the store before the word that follows them.
    fn answer(&mut self, ask: &Ask, fault: Fault, machine: &mut Machine, store: &mut Store<u32>) -> bool {
        let fail = match fault {
            Fault::Gone => Some(Failure::Gone),
            Fault::Busy => Some(Failure::Busy(Some(Duration::from_secs(7)))),
            Fault::Forbidden => Some(Failure::Forbidden("no".into())),
            _ if self.gone => Some(Failure::Absent),
            _ => None,
        };
        if let Some(failure) = fail {
            return hear(machine, store, Heard::Failed(failure));
        }
        let mut left = match fault {
            Fault::Closed(n) | Fault::Broken(n) | Fault::Silent(n) => n,
            _ => usize::MAX,
        };
        let mut spend = || {
            left = left.saturating_sub(1);
            left > 0
        };
        match ask {
            Ask::Stream if !self.streams => {
                return hear(machine, store, Heard::Failed(Failure::Refused));
            }
            Ask::Stream => {
                for (name, value) in self.objects.clone() {
                    if !spend() {
                        return end(machine, store, fault);
                    }
                    store.put(name, Some(value));
                    hear(machine, store, Heard::Event("1".into()));
                }
                hear(machine, store, Heard::Bookmark { version: self.version(), list_ends: true });
            }
            Ask::Page(from) => {
                self.pages += 1;
                if !matches!(fault, Fault::None) {
                    return end(machine, store, fault);
                }
                if from.is_none() {
                    let objects = self.objects.iter().map(|(n, v)| (n.clone(), *v)).collect();
                    self.snapshot = (objects, self.log.len());
                }
                let (objects, version) = &self.snapshot;
                if *version < self.compacted {
                    return hear(machine, store, Heard::Failed(Failure::Gone));
                }
                let from: usize = from.as_deref().map_or(0, |f| f.parse().unwrap());
                let to = from + usize::try_from(PAGE).unwrap();
                for (name, value) in objects.iter().take(to).skip(from) {
                    store.put(name.clone(), Some(*value));
                }
                let next = (to < objects.len()).then(|| to.to_string());
                return hear(machine, store, Heard::Page { version: version.to_string(), next });
            }
            Ask::Watch(version) => {
                let from: usize = version.parse().unwrap();
                if from < self.compacted {
                    return hear(machine, store, Heard::Failed(Failure::Gone));
                }
                for (n, (name, value)) in self.log.clone().into_iter().enumerate().skip(from) {
                    if !spend() {
                        return end(machine, store, fault);
                    }
                    match value {
                        Some(value) => store.put(name, Some(value)),
                        None => store.remove(&name),
                    };
                    hear(machine, store, Heard::Event((n + 1).to_string()));
                }
                hear(machine, store, Heard::Bookmark { version: self.version(), list_ends: false });
            }
        }
        end(machine, store, fault)
    }
}

fn hear(machine: &mut Machine, store: &mut Store<u32>, heard: Heard) -> bool {
    match machine.hear(heard) {
        Act::None => false,
        Act::EndList => store.end(),
        Act::Absent => store.absent(),
    }
}

fn end(machine: &mut Machine, store: &mut Store<u32>, fault: Fault) -> bool {
    let heard = match fault {
        Fault::Broken(_) => Heard::Failed(Failure::Broken("reset".into())),
        Fault::Silent(_) => Heard::Failed(Failure::Silent),
        _ => Heard::Closed,
    };
    hear(machine, store, heard)
}

/// A request with its wait; returns the wait.
fn turn(server: &mut Server, machine: &mut Machine, store: &mut Store<u32>, fault: Fault) -> Duration {
    let (ask, wait) = machine.ask();
    if machine.begins() {
        store.begin();
    }
    server.answer(&ask, fault, machine, store);
    wait.unwrap_or_default()
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        1 => (0usize..6).prop_map(Fault::Closed),
        1 => (0usize..6).prop_map(Fault::Broken),
        1 => (0usize..6).prop_map(Fault::Silent),
        1 => Just(Fault::Gone),
        1 => Just(Fault::Busy),
        1 => Just(Fault::Forbidden),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Change(u8, Option<u32>),
    Turn(Fault),
    Compact,
    Streams(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..130, prop::option::weighted(0.8, 0u32..5)).prop_map(|(n, v)| Step::Change(n, v)),
        4 => fault().prop_map(Step::Turn),
        1 => Just(Step::Compact),
        1 => any::<bool>().prop_map(Step::Streams),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("CERTDRIFT_LONG").is_some() { 50_000 } else { 500 }))]

    #[test]
    fn after_any_faults_the_store_is_what_the_server_has(steps in prop::collection::vec(step(), 0..80), streams: bool) {
        let mut server = Server { streams, ..Server::default() };
        for n in 0..120 {
            server.change(n, Some(0));
        }
        let (mut machine, mut store) = (Machine::new(7, Pace::default()), Store::default());
        let mut was_complete = false;
        for step in steps {
            match step {
                Step::Change(n, value) => server.change(n, value),
                Step::Turn(fault) => {
                    let waited = turn(&mut server, &mut machine, &mut store, fault);
                    prop_assert!(waited <= Duration::from_secs(30), "{waited:?}");
                    prop_assert!(store.is_complete() || !was_complete, "what was complete stays so");
                    was_complete = store.is_complete();
                }
                Step::Compact => server.compacted = server.log.len(),
                Step::Streams(streams) => server.streams = streams,
            }
        }
        // The faults end: within a few requests, none of which waits long, everything is known.
        let mut waited = Duration::ZERO;
        for _ in 0..8 {
            waited += turn(&mut server, &mut machine, &mut store, Fault::None);
        }
        let known: BTreeMap<_, _> = store.iter().map(|(n, v)| (n.clone(), *v)).collect();
        prop_assert_eq!(known, server.objects);
        prop_assert!(store.is_complete());
        prop_assert_eq!(machine.problem(), None);
    }
}

#[test]
fn a_server_that_refuses_to_stream_is_asked_for_pages_of_50() {
    let mut server = Server::default();
    for n in 0..101 {
        server.change(n, Some(1));
    }
    let (mut machine, mut store) = (Machine::new(1, Pace::default()), Store::default());
    for _ in 0..5 {
        turn(&mut server, &mut machine, &mut store, Fault::None);
    }
    assert_eq!((server.pages, store.len(), store.is_complete()), (3, 101, true));
    // And is not asked to stream again, when its versions have gone.
    server.change(0, Some(2));
    server.compacted = server.log.len();
    assert!(matches!(machine.ask().0, Ask::Watch(_)));
    turn(&mut server, &mut machine, &mut store, Fault::None);
    assert_eq!(machine.ask().0, Ask::Page(None));
}

#[test]
fn what_is_deleted_while_nobody_watches_is_gone_after_the_next_list_and_not_before() {
    let mut server = Server { streams: true, ..Server::default() };
    for n in 0..10 {
        server.change(n, Some(1));
    }
    let (mut machine, mut store) = (Machine::new(1, Pace::default()), Store::default());
    turn(&mut server, &mut machine, &mut store, Fault::None);
    assert_eq!(store.len(), 10);
    server.change(3, None);
    server.compacted = server.log.len();
    turn(&mut server, &mut machine, &mut store, Fault::None);
    turn(&mut server, &mut machine, &mut store, Fault::Broken(5));
    assert_eq!(store.len(), 10, "a list that breaks off takes nothing away");
    turn(&mut server, &mut machine, &mut store, Fault::None);
    assert_eq!(store.len(), 9);
}

#[test]
fn waits_grow_and_never_exceed_the_longest() {
    let longest = Pace::default().longest_wait;
    let mut machine = Machine::new(3, Pace::default());
    let mut all = Vec::new();
    for _ in 0..40 {
        machine.hear(Heard::Failed(Failure::Broken("refused".into())));
        all.push(machine.ask().1.unwrap());
    }
    assert!(all[0] <= Duration::from_millis(100) && all[0] >= Duration::from_millis(75), "{:?}", all[0]);
    assert!(all.iter().all(|w| *w <= longest));
    assert!(all[20] >= longest * 3 / 4);
    assert!(all[20..].windows(2).any(|w| w[0] != w[1]), "spread");
    assert!(matches!(machine.problem(), Some(Problem::Broken(why)) if why == "refused"));
}

#[test]
fn a_watch_that_ends_at_once_is_not_asked_for_without_a_pause() {
    let mut machine = Machine::new(3, Pace::default());
    machine.hear(Heard::Bookmark { version: "5".into(), list_ends: true });
    let mut total = Duration::ZERO;
    for _ in 0..10 {
        machine.hear(Heard::Closed);
        total += machine.ask().1.unwrap();
    }
    assert!(total > Duration::from_secs(20), "{total:?}");
    machine.hear(Heard::Bookmark { version: "9".into(), list_ends: false });
    machine.hear(Heard::Closed);
    assert!(machine.ask().1.unwrap() <= Duration::from_millis(100));
    assert_eq!(machine.ask().0, Ask::Watch("9".into()));
}

#[test]
fn a_kind_that_is_not_installed_is_no_problem_and_is_found_when_it_comes() {
    let mut server = Server { streams: true, gone: true, ..Server::default() };
    let (mut machine, mut store) = (Machine::new(1, Pace::default()), Store::default());
    turn(&mut server, &mut machine, &mut store, Fault::None);
    assert!(store.is_complete() && store.is_empty() && machine.problem().is_none());
    server.gone = false;
    server.change(1, Some(1));
    let waited = turn(&mut server, &mut machine, &mut store, Fault::None);
    assert_eq!((store.len(), waited), (1, Pace::default().absent_wait));
}

#[test]
fn what_the_server_says_of_waiting_is_heeded() {
    let mut machine = Machine::new(1, Pace::default());
    machine.hear(Heard::Failed(Failure::Busy(Some(Duration::from_secs(7)))));
    assert_eq!(machine.ask().1, Some(Duration::from_secs(7)));
    machine.hear(Heard::Failed(Failure::Busy(Some(Duration::from_secs(3600)))));
    assert_eq!(machine.ask().1, Some(Duration::from_secs(30)));
}

#[test]
fn a_stream_that_says_nothing_is_given_up_for_pages() {
    let mut machine = Machine::new(1, Pace::default());
    machine.hear(Heard::Failed(Failure::Silent));
    assert_eq!(machine.ask().0, Ask::Page(None));
}

mod lines {
    use super::super::machine::Failure;
    use super::super::wire::{Line, Reader, failure, line, objects, page};
    use crate::cluster::ObjectName;
    use crate::cluster::ingress::Ingress;

    fn reader() -> Reader<Ingress> {
        objects(|ingress: &mut Ingress| &mut ingress.metadata)
    }

    #[test]
    fn each_kind_of_line_is_understood() {
        let read = reader();
        let added = br#"{"type":"ADDED","object":{"kind":"Ingress","metadata":{"name":"a","namespace":"n","resourceVersion":"12"}}}"#;
        let Line::There(item) = line(added, &read).unwrap() else { panic!() };
        assert_eq!((item.version.as_str(), item.name), ("12", ObjectName::new("n", "a")));
        let ends = br#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
        assert_eq!(line(ends, &read).unwrap(), Line::Bookmark("9".into(), true));
        let plain =
            br#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"10","creationTimestamp":null}}}"#;
        assert_eq!(line(plain, &read).unwrap(), Line::Bookmark("10".into(), false));
        let gone = br#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version: 1 (2)"}}"#;
        assert_eq!(line(gone, &read).unwrap(), Line::Wrong(Failure::Gone));
        let deleted = br#"{"type":"DELETED","object":{"metadata":{"name":"a","namespace":"n","resourceVersion":"13"},"data":{"tls.key":"x"}}}"#;
        assert_eq!(line(deleted, &read).unwrap(), Line::Gone(ObjectName::new("n", "a"), "13".into()));
        assert!(line(b"{}", &read).is_err());
    }

    #[test]
    fn an_object_that_cannot_be_read_keeps_its_name_and_tells_nothing_of_its_data() {
        let read = reader();
        let bad = br#"{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"n","resourceVersion":"12"},"spec":"SECRET"}}"#;
        let Line::There(item) = line(bad, &read).unwrap() else { panic!() };
        let why = item.kept.unwrap_err();
        assert!(!why.contains("SECRET"), "{why}");
    }

    #[test]
    fn pages_are_read() {
        let read = reader();
        let list = br#"{"metadata":{"resourceVersion":"7","continue":"abc"},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#;
        let (items, version, next) = page(list, &read).unwrap();
        assert_eq!((items.len(), version.as_str(), next.as_deref()), (2, "7", Some("abc")));
        let last = br#"{"metadata":{"resourceVersion":"7","continue":""},"items":null}"#;
        let (items, _, next) = page(last, &read).unwrap();
        assert_eq!((items.len(), next), (0, None));
    }

    #[test]
    fn codes_mean_what_they_mean() {
        assert_eq!(failure(422, "", None), Failure::Refused);
        assert_eq!(failure(404, "", None), Failure::Absent);
        assert_eq!(failure(403, "no", None), Failure::Forbidden("no".into()));
        assert_eq!(failure(500, "x", None), Failure::Broken("500 x".into()));
    }
}
