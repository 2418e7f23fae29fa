//! What to ask the API server next, from what it said. Pure: no I/O, no clock; waits are said, not made.
//!
//! ```text
//! stream ──(initial events end)──> watch ──(closed)──> watch      410, or a version that is lost: stream again
//!    └─(refused)─> page, page … ──> watch                         429, 5xx, broken: wait, then the same again
//! ```
use std::time::Duration;

/// Objects of a page, where the server refuses to stream the list.
pub const PAGE: u32 = 50;

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Nothing at all was heard for so long: the connection is dead. The server sends a bookmark about every minute.
    pub silence: Duration,
    /// A stream of the initial list that stays silent for so long is one of a server that does not know it.
    pub silent_list: Duration,
    /// How long an answer may take to begin.
    pub head: Duration,
    /// The longest wait after a failure. What was lost must be found within 30 s of its end.
    pub longest_wait: Duration,
    /// How long to wait before the next look for what is forbidden.
    pub forbidden_wait: Duration,
    /// How long to wait before the next look for a kind that the server does not know (a CRD that is not installed), if
    /// nothing is heard of another list of kinds.
    pub absent_wait: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(100),
            silent_list: Duration::from_secs(15),
            head: Duration::from_secs(30),
            longest_wait: Duration::from_secs(10),
            forbidden_wait: Duration::from_secs(30),
            absent_wait: Duration::from_secs(300),
        }
    }
}

/// The next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The whole list as events, then every change.
    Stream,
    /// A page of the list, from the first (`None`) or from where the last one ended.
    Page(Option<String>),
    /// Every change after this version.
    Watch(String),
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An event about an object; its version.
    Event(String),
    /// A bookmark.
    Bookmark {
        /// Changes up to here were sent.
        version: String,
        /// The initial list is over.
        list_ends: bool,
    },
    /// A page of the list.
    Page {
        /// Of the list.
        version: String,
        /// Where the next page begins; `None` after the last.
        next: Option<String>,
    },
    /// The connection ended in good order: the server ends watches after some minutes.
    Closed,
    /// It did not work.
    Failed(Failure),
}

/// Why it did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 410: the version, or the page's mark, is too old.
    Gone,
    /// 400 or 422 to a stream of the list: the server does not do that (etcd before 3.4.25 or 3.5.8; Kubernetes before 1.32).
    Refused,
    /// 429, with what it said of waiting.
    Busy(Option<Duration>),
    /// 401 or 403.
    Forbidden(String),
    /// 404: the server does not know the kind.
    Absent,
    /// Any other answer, a broken connection, no answer in time.
    Broken(String),
    /// Nothing was heard for [`Pace::silence`] (or [`Pace::silent_list`]).
    Silent,
}

/// What is to be done with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    None,
    /// A list ended: what it did not name is gone.
    EndList,
    /// There is no such kind: all is gone.
    Absent,
}

/// What keeps the list from being kept up to date, while something does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The verb `list` or `watch` is missing; the server's words.
    Forbidden(String),
    /// The server cannot be reached or answers with errors; the last one.
    Broken(String),
}

/// The state of one watch.
#[derive(Clone, Debug)]
pub struct Machine {
    at: Ask,
    streams: bool,
    failures: u32,
    wait: Option<Duration>,
    problem: Option<Problem>,
    spread: u64,
    begun: bool,
    pace: Pace,
}

impl Machine {
    /// Before the first request. `spread` differs between watches, so that not all come back at once.
    #[must_use]
    pub const fn new(spread: u64, pace: Pace) -> Self {
        Self {
            at: Ask::Stream,
            streams: true,
            failures: 0,
            wait: None,
            problem: None,
            spread,
            begun: false,
            pace,
        }
    }

    /// The next request, and how long to wait before it.
    pub fn ask(&mut self) -> (Ask, Option<Duration>) {
        (self.at.clone(), self.wait.take())
    }

    /// Whether the next request begins a list; true once for each list.
    pub fn begins(&mut self) -> bool {
        let list = matches!(self.at, Ask::Stream | Ask::Page(None));
        let begins = list && !self.begun;
        self.begun = list || matches!(self.at, Ask::Page(_));
        begins
    }

    /// What keeps it from being up to date.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// How long silence may last now.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        match self.at {
            Ask::Stream => self.pace.silent_list,
            _ => self.pace.silence,
        }
    }

    /// Takes in what was heard.
    pub fn hear(&mut self, heard: Heard) -> Act {
        match heard {
            Heard::Event(version) => {
                self.well();
                if let Ask::Watch(at) = &mut self.at
                    && !version.is_empty()
                {
                    *at = version;
                }
                Act::None
            }
            Heard::Bookmark { version, list_ends } => {
                self.well();
                match &mut self.at {
                    Ask::Watch(at) => {
                        *at = version;
                        Act::None
                    }
                    // Only this bookmark says that all were named.
                    _ if list_ends => {
                        self.at = Ask::Watch(version);
                        Act::EndList
                    }
                    _ => Act::None,
                }
            }
            Heard::Page { version: _, next: Some(next) } => {
                self.well();
                self.at = Ask::Page(Some(next));
                Act::None
            }
            Heard::Page { version, next: None } => {
                self.well();
                self.at = Ask::Watch(version);
                Act::EndList
            }
            Heard::Closed => {
                match self.at {
                    // Ended before its list did: as good as broken.
                    Ask::Stream | Ask::Page(_) => self.again("the connection ended within the list"),
                    // A server that ends every watch at once must not be asked without a pause.
                    Ask::Watch(_) => self.pause(),
                }
                Act::None
            }
            Heard::Failed(failure) => self.failed(failure),
        }
    }

    fn failed(&mut self, failure: Failure) -> Act {
        match failure {
            Failure::Gone => {
                self.pause();
                self.relist();
                Act::None
            }
            Failure::Refused | Failure::Silent if self.at == Ask::Stream => {
                self.streams = false;
                self.relist();
                Act::None
            }
            Failure::Refused => {
                self.again("the server refuses the request");
                Act::None
            }
            // What was heard so far was in order: on from there.
            Failure::Silent => {
                self.pause();
                Act::None
            }
            Failure::Busy(said) => {
                self.again("the server is busy (429)");
                if let Some(said) = said {
                    self.wait = Some(
                        said.clamp(Duration::from_millis(500), self.pace.longest_wait.saturating_mul(3)),
                    );
                }
                Act::None
            }
            Failure::Forbidden(why) => {
                self.failures = self.failures.saturating_add(1);
                self.problem = Some(Problem::Forbidden(why));
                // The first few may be a token that is just being replaced.
                self.wait = Some(if self.failures > 3 { self.pace.forbidden_wait } else { self.backoff() });
                Act::None
            }
            Failure::Absent => {
                self.failures = 0;
                self.problem = None;
                self.wait = Some(self.pace.absent_wait);
                self.relist();
                Act::Absent
            }
            Failure::Broken(why) => {
                self.again(&why);
                Act::None
            }
        }
    }

    fn well(&mut self) {
        self.failures = 0;
        self.problem = None;
    }

    fn relist(&mut self) {
        self.at = if self.streams { Ask::Stream } else { Ask::Page(None) };
        self.begun = false;
    }

    /// The same again after a wait; a list from its beginning.
    fn again(&mut self, why: &str) {
        if matches!(self.at, Ask::Stream | Ask::Page(_)) {
            self.relist();
        }
        self.problem = Some(Problem::Broken(why.to_owned()));
        self.pause();
    }

    fn pause(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.wait = Some(self.backoff());
    }

    /// Nothing after the first failure but a breath, then twice as long each time, spread by a quarter.
    fn backoff(&mut self) -> Duration {
        // A splitmix step: any two watches part ways.
        self.spread = self.spread.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.spread ^ (self.spread >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let quarter = (mixed >> 32) % 250;
        let base = 100u64.saturating_mul(1 << self.failures.saturating_sub(1).min(10));
        let longest = u64::try_from(self.pace.longest_wait.as_millis()).unwrap_or(u64::MAX);
        let base = base.min(longest);
        Duration::from_millis(base.saturating_sub(base.saturating_mul(quarter) / 1000))
    }
}
