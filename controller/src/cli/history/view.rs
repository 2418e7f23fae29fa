//! The history in each form it can be asked for: an act with all that belongs to it. Pure.
use crate::cli::output::{BOLD, DIM, GREEN, Marks, RED, View, YELLOW};
use crate::converge::{Intent, Millis, Record, What};
use certdrift_contract::Fingerprint;
use serde::Serialize;
use std::io::{self, Write};

/// What is shown: in the order of time, the newest last.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    acts: Vec<Act>,
    /// What belongs to no act: drift that came and went by itself, acknowledgements.
    others: Vec<Record>,
}

/// A remedy that was decided, with what came of it.
#[derive(Debug, Serialize)]
struct Act {
    /// When it was decided.
    at: Millis,
    intent: Intent,
    /// What it said of itself; absent as long as it is in flight.
    ended: Option<Ended>,
    /// What was seen of it on the wire.
    wire: Vec<Wire>,
}

#[derive(Debug, Serialize)]
struct Ended {
    result: &'static str,
    said: String,
    took_ms: Option<u64>,
}

/// What was seen after an act at one endpoint.
#[derive(Debug, Serialize)]
struct Wire {
    at: Millis,
    result: &'static str,
    endpoint: String,
    host: String,
    served: Option<Fingerprint>,
    handshakes: Option<u32>,
    workers: Vec<String>,
}

impl Act {
    fn is(&self, gateway: &str, id: u64) -> bool {
        self.intent.gateway == gateway && self.intent.id == id && self.ended.is_none()
    }
}

impl Shown {
    pub(super) fn new(mut records: Vec<Record>, hosts: &[String]) -> Self {
        records.sort_by_key(|record| record.at);
        let mut shown = Self { acts: Vec::new(), others: Vec::new() };
        for record in records {
            shown.take(record);
        }
        if !hosts.is_empty() {
            shown.acts.retain(|act| {
                hosts.contains(&act.intent.host) || act.wire.iter().any(|wire| hosts.contains(&wire.host))
            });
            shown.others.retain(|record| host(&record.what).is_some_and(|host| hosts.contains(host)));
        }
        shown
    }

    fn take(&mut self, record: Record) {
        let Record { at, gateway, what } = record;
        let ended = |result, said, took_ms| Some(Ended { result, said, took_ms });
        match what {
            What::Remedy { intent } => self.acts.push(Act { at, intent, ended: None, wire: Vec::new() }),
            What::Ended { id, ok, said, took_ms, .. } => {
                if let Some(act) = self.acts.iter_mut().rfind(|act| act.is(&gateway, id)) {
                    act.ended = ended(if ok { "done" } else { "failed" }, said, Some(took_ms));
                }
            }
            What::NotStarted { id, why, .. } => {
                if let Some(act) = self.acts.iter_mut().rfind(|act| act.is(&gateway, id)) {
                    act.ended = ended("not-started", why, None);
                }
            }
            What::Converged { endpoint, host, after: Some(remedy), handshakes, workers, served, .. } => {
                let handshakes = Some(handshakes);
                let wire = Wire { at, result: "proven", endpoint, host, served, handshakes, workers };
                self.seen(&gateway, &remedy, wire);
            }
            What::NotHelped { endpoint, host, remedy, served } => {
                let wire = Wire::bare(at, "not-helped", endpoint, host, served);
                self.seen(&gateway, &remedy, wire);
            }
            What::NotProven { endpoint, host, remedy } => {
                let wire = Wire::bare(at, "not-proven", endpoint, host, None);
                self.seen(&gateway, &remedy, wire);
            }
            what => self.others.push(Record { at, gateway, what }),
        }
    }

    /// Belongs to the newest act of this remedy.
    fn seen(&mut self, gateway: &str, remedy: &str, wire: Wire) {
        let of = |act: &&mut Act| act.intent.gateway == gateway && act.intent.remedy == remedy;
        if let Some(act) = self.acts.iter_mut().rfind(of) {
            act.wire.push(wire);
        }
    }
}

impl Wire {
    const fn bare(
        at: Millis,
        result: &'static str,
        endpoint: String,
        host: String,
        served: Option<Fingerprint>,
    ) -> Self {
        Self { at, result, endpoint, host, served, handshakes: None, workers: Vec::new() }
    }
}

fn host(what: &What) -> Option<&String> {
    match what {
        What::Drifted { host, .. }
        | What::Converged { host, .. }
        | What::NotHelped { host, .. }
        | What::NotProven { host, .. }
        | What::Exhausted { host, .. }
        | What::Acknowledged { host, .. }
        | What::AcknowledgementEnded { host } => Some(host),
        What::Remedy { intent } => Some(&intent.host),
        What::Ended { .. } | What::NotStarted { .. } => None,
    }
}

fn short(fingerprint: Option<&Fingerprint>) -> String {
    fingerprint.map_or_else(|| "nothing".to_owned(), |f| f.to_string().chars().take(8).collect())
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
}

impl Act {
    fn human(&self, to: &mut dyn Write, wide: bool) -> io::Result<()> {
        let Intent { gateway, remedy, kind, host, endpoint, cause, covers, served, expected, price, .. } =
            &self.intent;
        let more = match covers {
            0 | 1 => String::new(),
            more => format!(" and {} more", more - 1),
        };
        writeln!(
            to,
            "{}  {BOLD}{gateway}  {remedy} ({kind}){BOLD:#} for {host} on {endpoint}{more}",
            self.at.seconds()
        )?;
        let expected: Vec<String> = expected.iter().map(|f| short(Some(f))).collect();
        let (served, expected) = (short(served.as_ref()), expected.join(" or "));
        writeln!(to, "  why     {}: served {served}, expected {expected}", cause.as_str())?;
        if wide {
            writeln!(to, "  price   {price}")?;
        }
        match &self.ended {
            None => {
                writeln!(to, "  did     {YELLOW}it has not ended, or its end was not recorded{YELLOW:#}")?;
            }
            Some(Ended { result, said, took_ms }) => {
                let took = took_ms.map(|ms| format!(" ({})", seconds(ms))).unwrap_or_default();
                let color = if *result == "failed" { RED } else { GREEN };
                let said = said.replace('\n', "\n          ");
                writeln!(to, "  did     {color}{result}{color:#}{took}: {said}")?;
            }
        }
        for wire in &self.wire {
            let Wire { at, result, endpoint, host, served, handshakes, workers } = wire;
            let color = if *result == "proven" { GREEN } else { RED };
            let after = u64::try_from(at.since(self.at)).unwrap_or(0);
            let handshakes = handshakes.map(|n| format!(", {n} handshakes")).unwrap_or_default();
            let workers = match workers.len() {
                0 => String::new(),
                n => format!(", {n} workers by name"),
            };
            writeln!(
                to,
                "  wire    {color}{result}{color:#} after {}: {host} on {endpoint} serves {}{handshakes}{workers}",
                seconds(after),
                short(served.as_ref())
            )?;
        }
        Ok(())
    }
}

fn other(record: &Record) -> Option<String> {
    let Record { at, gateway, what } = record;
    let text = match what {
        What::Drifted { endpoint, host, class, served, expected } => format!(
            "drift ({class}) of {host} on {endpoint}: served {}, expected {}",
            short(served.as_ref()),
            short(expected.first())
        ),
        What::Converged { endpoint, host, took_ms, .. } => {
            format!("{host} on {endpoint} is right again, by itself, after {}", seconds(*took_ms))
        }
        What::Exhausted { endpoint, host, cause, tried } => {
            format!(
                "{host} on {endpoint} ({}): tried {}, and nothing is left to try",
                cause.as_str(),
                tried.join(", ")
            )
        }
        What::Acknowledged { host, reason, until } => {
            format!("drift of {host} is known until {}: {reason}", until.seconds())
        }
        What::AcknowledgementEnded { host } => format!("drift of {host} is no longer let be"),
        _ => return None,
    };
    Some(format!("{}  {gateway}  {text}", at.seconds()))
}

impl View for Shown {
    const SCHEMA: &'static str = "certdrift.dev/history/v1";

    fn human(&self, to: &mut dyn Write, wide: bool, _: Marks) -> io::Result<()> {
        if self.acts.is_empty() && self.others.is_empty() {
            return writeln!(to, "nothing was done, and no drift was seen");
        }
        let mut others = self.others.iter().peekable();
        for act in &self.acts {
            while let Some(record) = others.next_if(|record| record.at <= act.at) {
                if let Some(text) = other(record) {
                    writeln!(to, "{DIM}{text}{DIM:#}")?;
                }
            }
            act.human(to, wide)?;
        }
        for text in others.filter_map(other) {
            writeln!(to, "{DIM}{text}{DIM:#}")?;
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.acts.iter().map(|act| act.intent.key()).collect()
    }

    fn short(&self) -> Vec<String> {
        let bad = |act: &&Act| {
            act.ended.as_ref().is_none_or(|ended| ended.result == "failed")
                || act.wire.iter().any(|wire| wire.result != "proven")
        };
        let line = |act: &Act| {
            let Intent { gateway, remedy, host, .. } = &act.intent;
            format!("{} {gateway} {remedy} {host}", act.at.seconds())
        };
        self.acts.iter().filter(bad).map(line).collect()
    }
}
