//! Reading ledgers and parts: bounded, total, and strict about what is known, lenient about what is not.
use super::{
    Content, Entry, Expectation, Expected, Ledger, MAX_PARTS, MAX_RETIRING, Part, PartRef, Retiring, Revision,
};
use crate::json::{Limits, ParseError, Reader};
use crate::names::{LEDGER_SCHEMA, LEDGER_SCHEMA_FAMILY, PART_SCHEMA, PART_SCHEMA_FAMILY};
use crate::{Fingerprint, HostPattern, Rules, UnixTime};
use std::borrow::Cow;
use std::sync::Arc;

type Read<T> = Result<T, ParseError>;

impl Ledger {
    /// Reads a ledger or an index. Unknown fields are ignored; another major schema is refused.
    ///
    /// # Errors
    /// Names the place (`entries[3].current[0].sha256`) and what is wrong with it.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Read<Self> {
        ledger(bytes, limits).map_err(|error| schema_first(bytes, limits, LEDGER_SCHEMA, error))
    }
}

impl Part {
    /// Reads one part. See [`Ledger::parse`].
    ///
    /// # Errors
    /// As [`Ledger::parse`].
    pub fn parse(bytes: &[u8], limits: &Limits) -> Read<Self> {
        part(bytes, limits).map_err(|error| schema_first(bytes, limits, PART_SCHEMA, error))
    }
}

fn ledger(bytes: &[u8], limits: &Limits) -> Read<Ledger> {
    let (mut schema, mut gateway, mut rules, mut revision, mut published_at) = (None, None, None, None, None);
    let (mut entries, mut parts, mut default) = (None, None, None);
    let mut reader = Reader::new(bytes, limits)?;
    reader.object(&mut |r, key| match key {
        "schema" => once(r, &mut schema, |r| the_schema(r, LEDGER_SCHEMA, LEDGER_SCHEMA_FAMILY)),
        "gateway" => once(r, &mut gateway, text),
        "match" => once(r, &mut rules, |r| match &*r.string()? {
            "kong" => Ok(Rules::Kong),
            "envoy" => Ok(Rules::Envoy),
            _ => Err(r.error("expected \"kong\" or \"envoy\"")),
        }),
        "revision" => once(r, &mut revision, |r| r.u64().map(Revision)),
        "published_at" => once(r, &mut published_at, time),
        "entries" => once(r, &mut entries, |r| optional(r, all_entries)),
        "parts" => once(r, &mut parts, |r| optional(r, |r| list(r, MAX_PARTS, part_ref))),
        "default" => once(r, &mut default, |r| optional(r, expectation)),
        _ => r.skip(),
    })?;
    let missing = |reader: &Reader<'_>, name: &str| reader.error(format!("the field {name} is missing"));
    schema.ok_or_else(|| missing(&reader, "schema"))?;
    let content = match (entries.flatten(), parts.flatten()) {
        (Some(entries), None) => Content::Entries(entries),
        (None, Some(parts)) => Content::Parts(parts),
        (Some(_), Some(_)) => return Err(reader.error("a ledger has entries or parts, this has both")),
        (None, None) => return Err(reader.error("a ledger has entries or parts, this has neither")),
    };
    let ledger = Ledger {
        gateway: gateway.ok_or_else(|| missing(&reader, "gateway"))?,
        rules: rules.ok_or_else(|| missing(&reader, "match"))?,
        revision: revision.ok_or_else(|| missing(&reader, "revision"))?,
        published_at: published_at.ok_or_else(|| missing(&reader, "published_at"))?,
        content,
        default: default.flatten(),
    };
    reader.end()?;
    Ok(ledger)
}

fn part(bytes: &[u8], limits: &Limits) -> Read<Part> {
    let (mut schema, mut gateway, mut name, mut entries) = (None, None, None, None);
    let mut reader = Reader::new(bytes, limits)?;
    reader.object(&mut |r, key| match key {
        "schema" => once(r, &mut schema, |r| the_schema(r, PART_SCHEMA, PART_SCHEMA_FAMILY)),
        "gateway" => once(r, &mut gateway, text),
        "name" => once(r, &mut name, part_name),
        "entries" => once(r, &mut entries, all_entries),
        _ => r.skip(),
    })?;
    let missing = |reader: &Reader<'_>, name: &str| reader.error(format!("the field {name} is missing"));
    schema.ok_or_else(|| missing(&reader, "schema"))?;
    let part = Part {
        gateway: gateway.ok_or_else(|| missing(&reader, "gateway"))?,
        name: name.ok_or_else(|| missing(&reader, "name"))?,
        entries: entries.ok_or_else(|| missing(&reader, "entries"))?,
    };
    reader.end()?;
    Ok(part)
}

fn entry(r: &mut Reader<'_>) -> Read<Entry> {
    let (mut source, mut hosts, mut since) = (None, None, None);
    let (mut current, mut incoming, mut retiring) = (None, None, None);
    r.object(&mut |r, key| match key {
        "source" => once(r, &mut source, text),
        "hosts" => once(r, &mut hosts, |r| list(r, usize::MAX, host)),
        "since" => once(r, &mut since, time),
        "current" => once(r, &mut current, all_expected),
        "incoming" => once(r, &mut incoming, all_expected),
        "retiring" => once(r, &mut retiring, all_retired),
        _ => r.skip(),
    })?;
    let missing = |name: &str| r.error(format!("the field {name} is missing"));
    Ok(Entry {
        source: source.ok_or_else(|| missing("source"))?,
        hosts: hosts.ok_or_else(|| missing("hosts"))?,
        since: since.ok_or_else(|| missing("since"))?,
        current: current.ok_or_else(|| missing("current"))?,
        incoming: incoming.unwrap_or_default(),
        retiring: retiring.unwrap_or_default(),
    })
}

fn expectation(r: &mut Reader<'_>) -> Read<Expectation> {
    let (mut source, mut current, mut incoming, mut retiring) = (None, None, None, None);
    r.object(&mut |r, key| match key {
        "source" => once(r, &mut source, text),
        "current" => once(r, &mut current, all_expected),
        "incoming" => once(r, &mut incoming, all_expected),
        "retiring" => once(r, &mut retiring, all_retired),
        _ => r.skip(),
    })?;
    Ok(Expectation {
        source: source.ok_or_else(|| r.error("the field source is missing"))?,
        current: current.unwrap_or_default(),
        incoming: incoming.unwrap_or_default(),
        retiring: retiring.unwrap_or_default(),
    })
}

fn expected(r: &mut Reader<'_>) -> Read<Expected> {
    let (mut sha256, mut chain, mut not_after) = (None, None, None);
    r.object(&mut |r, key| match key {
        "sha256" => once(r, &mut sha256, fingerprint),
        "chain" => once(r, &mut chain, |r| list(r, usize::MAX, fingerprint)),
        "not_after" => once(r, &mut not_after, time),
        _ => r.skip(),
    })?;
    Ok(Expected {
        sha256: sha256.ok_or_else(|| r.error("the field sha256 is missing"))?,
        chain: chain.unwrap_or_default(),
        not_after: not_after.ok_or_else(|| r.error("the field not_after is missing"))?,
    })
}

fn retired(r: &mut Reader<'_>) -> Read<Retiring> {
    let (mut sha256, mut until) = (None, None);
    r.object(&mut |r, key| match key {
        "sha256" => once(r, &mut sha256, fingerprint),
        "until" => once(r, &mut until, time),
        _ => r.skip(),
    })?;
    Ok(Retiring {
        sha256: sha256.ok_or_else(|| r.error("the field sha256 is missing"))?,
        until: until.ok_or_else(|| r.error("the field until is missing"))?,
    })
}

fn part_ref(r: &mut Reader<'_>) -> Read<PartRef> {
    let (mut name, mut sha256) = (None, None);
    r.object(&mut |r, key| match key {
        "name" => once(r, &mut name, part_name),
        "sha256" => once(r, &mut sha256, fingerprint),
        _ => r.skip(),
    })?;
    Ok(PartRef {
        name: name.ok_or_else(|| r.error("the field name is missing"))?,
        sha256: sha256.ok_or_else(|| r.error("the field sha256 is missing"))?,
    })
}

// One function per list, so that each is compiled once.

fn all_entries(r: &mut Reader<'_>) -> Read<Vec<Arc<Entry>>> {
    list(r, usize::MAX, |r| entry(r).map(Arc::new))
}

fn all_expected(r: &mut Reader<'_>) -> Read<Vec<Expected>> {
    list(r, usize::MAX, expected)
}

fn all_retired(r: &mut Reader<'_>) -> Read<Vec<Retiring>> {
    list(r, MAX_RETIRING, retired)
}

/// Reads a field that may stand once.
fn once<'a, T>(
    r: &mut Reader<'a>,
    slot: &mut Option<T>,
    read: impl FnOnce(&mut Reader<'a>) -> Read<T>,
) -> Read<()> {
    if slot.is_some() {
        return Err(r.error("the field stands twice"));
    }
    *slot = Some(read(r)?);
    Ok(())
}

fn optional<'a, T>(r: &mut Reader<'a>, read: impl FnOnce(&mut Reader<'a>) -> Read<T>) -> Read<Option<T>> {
    if r.null()? { Ok(None) } else { read(r).map(Some) }
}

fn list<'a, T>(
    r: &mut Reader<'a>,
    most: usize,
    mut read: impl FnMut(&mut Reader<'a>) -> Read<T>,
) -> Read<Vec<T>> {
    let mut all = Vec::new();
    r.array(&mut |r, position| {
        if position >= most {
            return Err(r.error(format!("more than {most} of them")));
        }
        let one = read(r)?;
        // Most lists have one member, and all of them are kept.
        if all.is_empty() {
            all.reserve_exact(1);
        }
        all.push(one);
        Ok(())
    })?;
    Ok(all)
}

fn text(r: &mut Reader<'_>) -> Read<String> {
    match r.string()? {
        text if text.is_empty() => Err(r.error("it is empty")),
        text => Ok(text.into_owned()),
    }
}

fn part_name(r: &mut Reader<'_>) -> Read<String> {
    let name = r.string()?;
    if (1..=8).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Ok(name.into_owned());
    }
    Err(r.error("a part's name has 1 to 8 characters of a-z and 0-9"))
}

fn time(r: &mut Reader<'_>) -> Read<UnixTime> {
    UnixTime::parse(r.string()?.as_bytes()).map_err(|error| r.error(error.to_string()))
}

fn fingerprint(r: &mut Reader<'_>) -> Read<Fingerprint> {
    Fingerprint::parse(r.string()?.as_bytes()).map_err(|error| r.error(error.to_string()))
}

fn host(r: &mut Reader<'_>) -> Read<HostPattern> {
    r.string()?.parse().map_err(|error: crate::host::HostError| r.error(error.to_string()))
}

fn the_schema(r: &mut Reader<'_>, schema: &str, family: &str) -> Read<()> {
    let found = r.string()?;
    if *found == *schema {
        return Ok(());
    }
    Err(r.error(other_schema(&found, schema, family)))
}

fn other_schema(found: &str, schema: &str, family: &str) -> Cow<'static, str> {
    if found.starts_with(family) {
        let found = found.get(..64).unwrap_or(found);
        Cow::Owned(format!("the schema is {found}, this reads {schema}"))
    } else {
        Cow::Owned(format!("expected {schema}"))
    }
}

/// A document of another major version may be wrong in any place: what there is to say of it is its version.
fn schema_first(bytes: &[u8], limits: &Limits, schema: &str, error: ParseError) -> ParseError {
    let mut other = None;
    if let Ok(mut reader) = Reader::new(bytes, limits) {
        // An error here is the one that is told already.
        let _ = reader.object(&mut |r, key| {
            if key != "schema" {
                return r.skip();
            }
            let family = schema.get(..schema.len().saturating_sub(2)).unwrap_or(schema);
            other = the_schema(r, schema, family).err();
            Ok(())
        });
    }
    match other {
        Some(other) => ParseError::at("schema".to_owned(), other.offset, other.what.clone()),
        None => error,
    }
}
