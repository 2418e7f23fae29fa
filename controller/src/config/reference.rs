//! What is generated from the types: the JSON schema, `docs/configuration.md`, and the example.
use super::Config;
use schemars::Schema;
use serde_json::Value;
use std::fmt::Write as _;

/// The example that `certdrift config example` prints; a test loads it.
pub const EXAMPLE: &str = include_str!("example.yaml");

/// The one that `certdrift config example --kubernetes` prints; a test loads it, too.
pub const EXAMPLE_KUBERNETES: &str = include_str!("example-kubernetes.yaml");

/// The JSON schema of the configuration (draft 2020-12), for editors.
#[must_use]
pub fn schema() -> Schema {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("$id".to_owned(), "https://certdrift.dev/schema/config.schema.json".into());
    schema
}

/// The schema as `certdrift config schema` prints it.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", schema().as_value())
}

/// `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let schema = schema();
    let root = schema.as_value();
    let mut text = String::from(
        "# Configuration\n\n\
        <!-- Generated from the types in controller/src/config; `cargo test -p certdrift` says so when it is stale. -->\n\n\
        One YAML file: `--config FILE`, else `CERTDRIFT_CONFIG`, else `certdrift.yaml` in the working directory, else\n\
        `/etc/certdrift/certdrift.yaml`. Flags and `CERTDRIFT_…` variables of `certdrift run` win over it. Unknown keys are\n\
        refused. Relative paths start at the working directory. `certdrift config check` tells everything that is wrong,\n\
        with line and mend; `certdrift config schema` prints the JSON schema for your editor (also in\n\
        `deploy/schema/config.schema.json`); SIGHUP makes a running controller read the file again.\n\n\
        ```yaml\n",
    );
    text.push_str(EXAMPLE);
    text.push_str("```\n\nIn a cluster:\n\n```yaml\n");
    text.push_str(EXAMPLE_KUBERNETES);
    text.push_str("```\n\n## The file\n\n");
    object(root, &mut text);
    let mut names: Vec<String> = Vec::new();
    references(root, root, &mut names);
    for name in names {
        let Some(definition) = root.pointer(&format!("/$defs/{name}")) else { continue };
        let _ = write!(text, "\n## {name}\n\n{}\n\n", described(definition));
        if definition.get("properties").is_some() {
            object(definition, &mut text);
        } else {
            variants(definition, &mut text);
        }
    }
    text
}

/// The definitions in the order in which a reader comes upon them.
fn references(root: &Value, node: &Value, names: &mut Vec<String>) {
    match node {
        Value::Object(members) => {
            if let Some(name) =
                members.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/"))
                && !names.iter().any(|n| n == name)
            {
                names.push(name.to_owned());
                if let Some(definition) = root.pointer(&format!("/$defs/{name}")) {
                    references(root, definition, names);
                }
            }
            for (_, member) in members.iter().filter(|(key, _)| *key != "$defs") {
                references(root, member, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(root, item, names)),
        _ => {}
    }
}

fn described(node: &Value) -> String {
    node.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

fn object(node: &Value, text: &mut String) {
    let required: Vec<&str> = node
        .get("required")
        .and_then(Value::as_array)
        .map(|r| r.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    text.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    let Some(Value::Object(properties)) = node.get("properties") else { return };
    for (key, property) in properties {
        let default = match property.get("default") {
            _ if required.contains(&key.as_str()) => "required".to_owned(),
            Some(Value::Object(_) | Value::Null) | None => String::new(),
            Some(Value::Array(items)) if items.is_empty() => String::new(),
            Some(Value::String(value)) => format!("`{value}`"),
            Some(value) => format!("`{value}`"),
        };
        let _ = writeln!(
            text,
            "| `{key}` | {} | {default} | {} |",
            type_of(property),
            described(property).replace('|', "\\|")
        );
    }
}

fn variants(node: &Value, text: &mut String) {
    let Some(all) = node.get("oneOf").or_else(|| node.get("anyOf")).and_then(Value::as_array) else {
        for value in
            node.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            let _ = writeln!(text, "- `{value}`");
        }
        return;
    };
    for one in all {
        if let Some(value) = one.get("const").and_then(Value::as_str) {
            let _ = writeln!(text, "- `{value}`: {}", described(one));
        } else if let Some(values) = one.get("enum").and_then(Value::as_array) {
            for value in values.iter().filter_map(Value::as_str) {
                let _ = writeln!(text, "- `{value}`");
            }
        } else if let Some(Value::Object(properties)) = one.get("properties") {
            for (key, property) in properties {
                let _ = writeln!(text, "- `{key}: …` ({}): {}", type_of(property), described(one));
            }
        }
    }
}

fn type_of(node: &Value) -> String {
    let link = |name: &str| format!("[{name}](#{})", name.to_lowercase());
    if let Some(name) = node.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/")) {
        return link(name);
    }
    if let Some(any) = node.get("anyOf").and_then(Value::as_array) {
        let kinds: Vec<String> = any
            .iter()
            .filter(|one| one.get("type").and_then(Value::as_str) != Some("null"))
            .map(type_of)
            .collect();
        return kinds.join(" or ");
    }
    let kinds: Vec<&str> = match node.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).filter(|k| *k != "null").collect()
        }
        _ => vec!["any"],
    };
    match kinds.as_slice() {
        ["array"] => node.get("items").map_or("list".to_owned(), |i| format!("list of {}", type_of(i))),
        ["object"] => match node.get("additionalProperties") {
            Some(value @ Value::Object(_)) => format!("map to {}", type_of(value)),
            _ => "map".to_owned(),
        },
        kinds => kinds.join(" or "),
    }
}
