//! Label selectors: those of objects (`matchLabels`, `matchExpressions`).
use super::object::{Labels, list};
use serde::Deserialize;

/// A label selector; all of it must hold, an empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// Labels that must have these values.
    pub match_labels: Labels,
    /// Further requirements.
    #[serde(deserialize_with = "list")]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement of a selector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// Of the label.
    pub key: Box<str>,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`
    pub operator: Box<str>,
    /// For `In` and `NotIn`.
    #[serde(deserialize_with = "list")]
    pub values: Vec<Box<str>>,
}

impl Selector {
    /// Whether labels are chosen by it. An operator that is not known chooses nothing.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|r| {
                let value = labels.get(&r.key);
                match &*r.operator {
                    "In" => value.is_some_and(|value| r.values.contains(value)),
                    "NotIn" => value.is_none_or(|value| !r.values.contains(value)),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_holds_when_all_of_it_does() {
        let labels = Labels::from([("team".into(), "a".into()), ("edge".into(), "yes".into())]);
        let selects = |text: &str| serde_json::from_str::<Selector>(text).unwrap().matches(&labels);
        assert!(selects("{}"));
        assert!(selects(
            r#"{"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}"#
        ));
        assert!(!selects(r#"{"matchLabels": {"team": "a", "edge": "no"}}"#));
        assert!(selects(
            r#"{"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}"#
        ));
        assert!(!selects(r#"{"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}"#));
        assert!(selects(r#"{"matchExpressions": [{"key": "edge", "operator": "Exists"}]}"#));
        assert!(!selects(r#"{"matchExpressions": [{"key": "edge", "operator": "Near"}]}"#));
    }
}
