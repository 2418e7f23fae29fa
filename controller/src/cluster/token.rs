//! The token of a ServiceAccount, read anew for each request.
//!
//! The kubelet replaces the file before the token ends. kube reads it once a minute: for so long a token that the server
//! refuses already (its pod or its Secret is gone, the signing key was changed) would be sent on. A read of a kilobyte
//! from memory costs nothing beside a request.
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Puts a file's token onto requests; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Token {
    file: PathBuf,
    /// While the file cannot be read, what was read last is sent (kubernetes/kubernetes#68164).
    last: Arc<Mutex<Option<HeaderValue>>>,
}

impl Token {
    pub(super) fn of(file: PathBuf) -> Self {
        Self { file, last: Arc::default() }
    }

    pub(super) fn put<B>(&self, mut request: Request<B>) -> Request<B> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = self.read() {
            *last = Some(now);
        }
        if let Some(value) = &*last {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        request
    }

    fn read(&self) -> Option<HeaderValue> {
        let text = std::fs::read_to_string(&self.file).ok()?;
        let token = text.trim();
        let mut value =
            HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| !token.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_carries_what_the_file_says_now_and_the_last_one_while_it_says_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let token = Token::of(file.path().to_owned());
        let sent = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            let request = token.put(Request::new(()));
            request.headers().get(AUTHORIZATION).map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(sent(""), None);
        assert_eq!(sent("one\n").as_deref(), Some("Bearer one"));
        assert_eq!(sent("two").as_deref(), Some("Bearer two"));
        assert_eq!(sent("").as_deref(), Some("Bearer two"), "it is being replaced");
        assert!(!format!("{token:?}").contains("two"));
    }
}
