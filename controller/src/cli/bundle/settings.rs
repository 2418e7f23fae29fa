//! The configuration as the archive shows it: where tokens come from, never what they are.
use crate::config::{Config, TokenFrom};
use serde::Deserialize as _;
use serde_json::Value;

const NOT_SHOWN: &str = "(redacted: not shown)";

/// The configuration without what may be a secret in it: values of commands' `env` and all of their words but the first, and what
/// follows the host in a webhook's URL.
pub(super) fn shown(config: &Config) -> Result<String, String> {
    let mut value = serde_json::to_value(config).map_err(|e| e.to_string())?;
    hide(&mut value);
    serde_saphyr::to_string(&value).map_err(|e| e.to_string())
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                match (key.as_str(), inner) {
                    ("env", Value::Object(variables)) => {
                        variables.values_mut().for_each(|value| *value = NOT_SHOWN.into());
                    }
                    // Whatever a program is given may be a token.
                    ("argv", Value::Array(words)) if words.len() > 1 => {
                        let more = words.len() - 1;
                        words.truncate(1);
                        words.push(format!("(redacted: {more} more not shown)").into());
                    }
                    ("url", Value::String(url)) => {
                        if let Some((scheme, rest)) = url.split_once("://")
                            && let Some((host, _)) = rest.split_once(['/', '?', '#'])
                        {
                            *url = format!("{scheme}://{host}/{NOT_SHOWN}");
                        }
                    }
                    (_, inner) => hide(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

/// The values of its tokens, as far as this process can read them: they show nowhere.
pub(super) fn tokens(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(value) = serde_json::to_value(config) {
        collect(&value, &mut found);
    }
    found
}

fn collect(value: &Value, to: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                if matches!(key.as_str(), "token" | "hmac")
                    && let Ok(from) = TokenFrom::deserialize(inner)
                    && let Ok(token) = from.read()
                {
                    to.push(token.text().to_owned());
                }
                if let ("url", Value::String(url)) = (key.as_str(), inner)
                    && let Some((_, rest)) = url.split_once("://")
                    && let Some((_, path)) = rest.split_once(['/', '?', '#'])
                {
                    to.push(path.to_owned());
                }
                collect(inner, to);
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::elsewhere;

    #[test]
    fn tokens_are_named_and_never_shown_and_their_values_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "correct-horse-battery").unwrap();
        let config = elsewhere(
            &format!(
                "listen: {{token: {{file: {}}}}}\ngateways: [{{name: kong, sources: [{{directory: /x}}], endpoints: [], policy: {{remedies: [\
                 {{name: a, command: {{argv: [reload, -k, swordfish-of-mine], env: {{API: hunter2}}}}}}, \
                 {{name: b, webhook: {{url: \"https://hooks.example/services/T00/XYZ\"}}}}]}}}}]",
                file.display()
            ),
            "test",
        )
        .unwrap();
        assert_eq!(tokens(&config), ["services/T00/XYZ", "correct-horse-battery"]);
        let text = shown(&config).unwrap();
        assert!(text.contains("https://hooks.example/(redacted") && text.contains("API:"), "{text}");
        assert!(text.contains(&file.display().to_string()), "{text}");
        for secret in ["hunter2", "XYZ", "correct-horse", "swordfish"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
