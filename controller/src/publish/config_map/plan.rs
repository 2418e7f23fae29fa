//! What to do so that a gateway's ConfigMaps are what was published. Pure.
//!
//! Parts that are new are written before the index that names them, and parts that are no longer named go after it, so
//! that no index stands whose parts are missing; parts that are there are written beside it, since a reader compares
//! digests and keeps what it has until they agree, in whatever order they came. Each write names the version it was planned on: whoever wrote in between,
//! another replica or a person, makes it fail, and it is planned anew.
use super::map::{MOST_BYTES, Place, There};
use crate::finding::Finding;
use crate::publish::findings as kinds;
use crate::publish::split::{Document, Published};
use certdrift_contract::ledger::MAX_AHEAD;
use certdrift_contract::{Fingerprint, Revision, UnixTime};
use std::collections::BTreeMap;

/// What is known of the ConfigMaps of a ledger, by name.
pub type View = BTreeMap<String, There>;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Writes a document.
    Apply {
        /// Of the ConfigMap.
        name: String,
        /// What has to be in it.
        document: &'a Document,
        /// The version that is replaced; `None` when there is none.
        version: Option<String>,
        /// Another writes the key, too: it becomes ours.
        force: bool,
    },
    /// Deletes a part that no index names any more.
    Delete {
        /// Of the ConfigMap.
        name: String,
        /// That very object.
        uid: String,
        /// In that version.
        version: String,
    },
}

/// What has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan<'a> {
    /// In this order, as [`groups`] says. Empty: all is as it should be.
    Write(Vec<Step<'a>>, Vec<Finding>),
    /// Nothing yet: a ledger is there that is newer than ours. True: another replica's, false: a stranger's.
    Newer(Revision, bool),
    /// Nothing at all.
    Refused(Finding),
}

/// What was written by this process, and what the watch has not shown yet.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// What we wrote last under each name.
    digests: BTreeMap<String, Fingerprint>,
    /// What the server answered (`None`: it is deleted), while the watch still shows what that replaced.
    ahead: BTreeMap<String, Ahead>,
}

#[derive(Clone, Debug)]
struct Ahead {
    /// Versions that are no more; `None` stands for an object that was not there.
    replaced: Vec<Option<Box<str>>>,
    there: Option<There>,
}

fn version(there: Option<&There>) -> Option<Box<str>> {
    there.map(|there| there.version.clone())
}

impl Written {
    /// What is there: what the watch shows, and what we know to be newer.
    #[must_use]
    pub fn view(&mut self, shown: &View) -> View {
        self.ahead.retain(|name, ahead| ahead.replaced.contains(&version(shown.get(name))));
        let mut view = shown.clone();
        for (name, ahead) in &self.ahead {
            match &ahead.there {
                Some(there) => view.insert(name.clone(), there.clone()),
                None => view.remove(name),
            };
        }
        view
    }

    /// The server has done a step; `shown` is what the watch shows now, `there` what the server answered.
    pub fn done(&mut self, name: &str, shown: Option<&There>, there: Option<There>) {
        match there.as_ref().and_then(|there| there.digest) {
            Some(digest) => self.digests.insert(name.to_owned(), digest),
            None => self.digests.remove(name),
        };
        let before = self.ahead.remove(name);
        if version(shown) == version(there.as_ref()) {
            return;
        }
        let mut replaced = vec![version(shown)];
        if let Some(before) = before {
            replaced.extend(before.replaced);
            replaced.push(version(before.there.as_ref()));
        }
        self.ahead.insert(name.to_owned(), Ahead { replaced, there });
    }

    /// Whether the watch has yet to show something that we did.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// So long after our last write, the watch is right: what it does not show was undone before it could.
    pub fn settle(&mut self) {
        self.ahead.clear();
    }

    /// Nothing of ours is there any more that could have been changed: another has led since.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether we wrote exactly this.
    fn is_ours(&self, name: &str, there: &There) -> bool {
        self.digests.get(name).is_some_and(|digest| there.digest == Some(*digest))
    }
}

/// What to do. `now` is the wall clock's.
#[must_use]
pub fn plan<'a>(
    place: &Place,
    published: &'a Published,
    view: &View,
    written: &Written,
    now: UnixTime,
) -> Plan<'a> {
    let index = place.index();
    let parts = published.parts.iter().map(|(number, document)| (place.part(number), document));
    let wanted: Vec<(String, &Document)> = parts.chain([(index.clone(), &published.index)]).collect();
    if let Some((name, document)) = wanted.iter().find(|(_, document)| document.length > MOST_BYTES) {
        let why = format!("it would hold {} bytes; a ConfigMap holds {MOST_BYTES}", document.length);
        return Plan::Refused(kinds::CONFIG_MAP_TOO_LARGE.on(place.object(name), why));
    }
    if let Some(newer) = newer(published, view.get(&index), written, &index, now) {
        return newer;
    }
    let mut steps = Vec::new();
    let mut told = Vec::new();
    for (name, document) in wanted {
        let there = view.get(&name);
        if there.is_some_and(|there| there.digest == Some(document.digest)) {
            continue;
        }
        let force = there.is_some_and(|there| !there.hands.is_empty());
        if let Some(why) = hand(&name, there, written) {
            told.push(kinds::CONFIG_MAP_PUT_RIGHT.on(place.object(&name), why));
        }
        let version = there.map(|there| there.version.to_string());
        steps.push(Step::Apply { name, document, version, force });
    }
    for (name, there) in view {
        if let Some(number) = place.number(name)
            && published.part(number).is_none()
        {
            let (uid, version) = (there.uid.to_string(), there.version.to_string());
            steps.push(Step::Delete { name: name.clone(), uid, version });
        }
    }
    Plan::Write(steps, told)
}

/// The steps in groups, one after another and no further than the first that fails; those of a group are done at one time.
#[must_use]
pub fn groups<'s, 'a>(steps: &'s [Step<'a>]) -> Vec<&'s [Step<'a>]> {
    let is_apply = |step: &&Step<'_>| matches!(step, Step::Apply { .. });
    let (writes, deletes) = steps.split_at(steps.iter().take_while(is_apply).count());
    let makes_one = writes.iter().any(|step| matches!(step, Step::Apply { version: None, .. }));
    // The index comes last.
    let (first, last) = writes.split_at(writes.len().saturating_sub(usize::from(makes_one)));
    [first, last, deletes].into_iter().filter(|group| !group.is_empty()).collect()
}

/// What another hand did, if one did anything.
fn hand(name: &str, there: Option<&There>, written: &Written) -> Option<String> {
    let Some(there) = there else {
        return written
            .digests
            .contains_key(name)
            .then(|| "it was deleted, or its label taken off".to_owned());
    };
    if !there.hands.is_empty() {
        return Some(format!("its {} was written by {}", super::map::KEY, there.hands.join(", ")));
    }
    let changed = written.digests.contains_key(name) && !written.is_ours(name, there);
    changed.then(|| "its bytes were changed".to_owned())
}

/// Whether the index that is there must not be replaced before ours is newer.
fn newer<'a>(
    published: &Published,
    there: Option<&There>,
    written: &Written,
    name: &str,
    now: UnixTime,
) -> Option<Plan<'a>> {
    let there = there?;
    let revision = there.revision?;
    let by_replica = there.ours && there.hands.is_empty();
    // Two replicas may have published in one second. A stranger's edit keeps the revision; ours is put back then.
    let same = revision == published.revision && by_replica && !written.is_ours(name, there);
    let ahead = (revision > published.revision || same) && there.digest != Some(published.index.digest);
    // Further ahead, every reader refuses it, and it is replaced.
    let limit = u64::try_from(now.plus(MAX_AHEAD).seconds()).unwrap_or(0);
    (ahead && revision.0 <= limit).then_some(Plan::Newer(revision, by_replica))
}
