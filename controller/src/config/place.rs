//! Where in the YAML file a value stands: `gateways[0].endpoints[1].address` → line and column.
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// A line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: u64,
    /// From 1.
    pub column: u64,
}

impl Place {
    pub(super) fn of(location: &serde_saphyr::Location) -> Option<Self> {
        (location.line() > 0).then(|| Self { line: location.line(), column: location.column() })
    }
}

/// The file as a tree of places.
#[derive(Debug)]
pub struct Map(Spanned<Node>);

#[derive(Debug)]
enum Node {
    Scalar,
    List(Vec<Spanned<Node>>),
    Table(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Map {
    /// From the file's text; `None` when it is no YAML (its reader says so better).
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        serde_saphyr::from_str(text).ok().map(Self)
    }

    /// Where the value at `path` stands; where it is left out, the nearest value around it.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Place> {
        let mut place = Place::of(&self.0.referenced);
        let mut node = &self.0.value;
        for step in steps(path) {
            let next = match (node, step) {
                (Node::Table(members), Step::Key(key)) => members
                    .iter()
                    .find(|(name, _)| name.value == key)
                    .map(|(name, value)| (&name.referenced, value)),
                (Node::List(items), Step::Index(n)) => items.get(n).map(|item| (&item.referenced, item)),
                _ => None,
            };
            let Some((at, value)) = next else { break };
            place = Place::of(at).or(place);
            node = &value.value;
        }
        place
    }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// `a[1].b` → a, 1, b. A key that holds dots is written in quotes: `hosts."a.b"`.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('.');
        if rest.is_empty() {
            return None;
        }
        if let Some(inner) = rest.strip_prefix('[')
            && let Some((number, after)) = inner.split_once(']')
        {
            rest = after;
            return Some(number.parse().map_or(Step::Key(number), Step::Index));
        }
        if let Some(inner) = rest.strip_prefix('"')
            && let Some((key, after)) = inner.split_once('"')
        {
            rest = after;
            return Some(Step::Key(key));
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        rest = after;
        Some(Step::Key(key))
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Node::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
                let mut table = Vec::new();
                while let Some(member) = members.next_entry()? {
                    table.push(member);
                }
                Ok(Node::Table(table))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
            fn visit_str<E>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
            fn visit_none<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar)
            }
        }
        from.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_line_and_a_missing_value_to_what_is_around_it() {
        let text =
            "listen:\n  address: x\ngateways:\n  - name: a\n    hosts:\n      a.b: [1, two]\n  - name: b\n";
        let map = Map::of(text).unwrap();
        let line = |path: &str| map.find(path).map(|p| (p.line, p.column));
        assert_eq!(line("listen.address"), Some((2, 3)));
        assert_eq!(line("gateways[1].name"), Some((7, 5)));
        assert_eq!(line("gateways[0].hosts.\"a.b\"[1]"), Some((6, 16)));
        assert_eq!(line("gateways[1].endpoints[0]"), Some((7, 5)));
        assert_eq!(line("nowhere"), Some((1, 1)));
    }
}
