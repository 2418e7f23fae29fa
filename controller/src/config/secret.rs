//! Tokens: named in the configuration, never written there, never printed.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;

/// Where a token is read from: the configuration file itself never holds one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenFrom {
    /// The name of an environment variable.
    Env(String),
    /// A file; white space around its content is cut off.
    File(PathBuf),
}

/// A token; shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A shorter token would be guessed.
const SHORTEST: usize = 16;
/// No token is longer; a device would be read for ever.
const LONGEST: u64 = 64 << 10;

impl Token {
    /// Its text, for the header it is sent in or compared with.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl TokenFrom {
    /// Reads it.
    ///
    /// # Errors
    /// In words: not there, unreadable, shorter than 16 characters, or not printable ASCII (it travels in a header).
    pub fn read(&self) -> Result<Token, String> {
        let (text, from) = match self {
            Self::Env(name) => (
                std::env::var(name).map_err(|e| format!("the environment variable {name}: {e}"))?,
                name.clone(),
            ),
            Self::File(path) => {
                let from = path.display().to_string();
                let mut text = String::new();
                std::fs::File::open(path)
                    .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
                    .map_err(|e| format!("{from}: {e}"))?;
                (text, from)
            }
        };
        let text = text.trim();
        if text.len() < SHORTEST {
            return Err(format!("{from}: the token has fewer than {SHORTEST} characters"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("{from}: a token is printable ASCII without spaces"));
        }
        Ok(Token(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_checked_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let token = TokenFrom::File(path.clone()).read().unwrap();
        assert_eq!(token.text(), "0123456789abcdef");
        assert!(!format!("{token:?}").contains("0123"));
        std::fs::write(&path, "short").unwrap();
        let error = TokenFrom::File(path).read().unwrap_err();
        assert!(error.contains("fewer than 16") && !error.contains("short"), "{error}");
    }
}
