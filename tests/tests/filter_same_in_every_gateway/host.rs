//! Our own host as a gateway, in one of its profiles.
use super::gateway::{
    Ask, Documents, Gateway, NEVER, NEVER_CONFIG, OPEN_CONFIG, Reply, SAID, STRICT, STRICT_CONFIG, Told,
    config, print, said_config, told,
};
use certdrift_tests::host::{Answer, Profile, Target, Wasm, Worker};
use std::cell::RefCell;
use std::rc::Rc;

pub(crate) struct Ours {
    worker: Worker,
    profile: &'static Profile,
    roots: [u32; 4],
    documents: Rc<RefCell<Documents>>,
    asked: Rc<RefCell<Vec<(String, bool)>>>,
}

impl Ours {
    pub(crate) fn new(profile: &'static Profile) -> Self {
        let upstream = if profile.target == Target::Cluster { "ledger" } else { "127.0.0.1:8787" };
        let mut ours = Self::with(profile, &config(upstream, OPEN_CONFIG));
        let strict = ours.worker.root(config(upstream, STRICT_CONFIG));
        let never = ours.worker.root(config(upstream, NEVER_CONFIG));
        let said = ours.worker.root(config(upstream, &said_config()));
        ours.roots[1..].copy_from_slice(&[strict, never, said]);
        ours
    }

    /// With one configuration for all hosts.
    pub(crate) fn with(profile: &'static Profile, config: &str) -> Self {
        let mut worker = Worker::new(profile, &Wasm::certdrift());
        let documents = Rc::new(RefCell::new(Documents::new()));
        let asked = Rc::new(RefCell::new(Vec::new()));
        let (served, log) = (Rc::clone(&documents), Rc::clone(&asked));
        worker.answer(move |call| {
            let path = call.path();
            let served = served.borrow();
            if served.is_empty() {
                return Answer::refused();
            }
            let Some((_, body)) = served.iter().find(|(p, _)| *p == path) else {
                return Answer::response(404, &[], "");
            };
            let etag = format!("\"{}\"", print(body));
            let same = call.header("if-none-match") == etag;
            log.borrow_mut().push((path, same));
            if same { Answer::not_modified() } else { Answer::document(body.clone(), &etag) }
        });
        let root = worker.root(config);
        Self { worker, profile, roots: [root; 4], documents, asked }
    }
}

impl Gateway for Ours {
    fn evidence(&self) -> &'static str {
        if self.profile.target == Target::Cluster { "declared" } else { "filter" }
    }

    fn documents(&mut self, documents: Documents) {
        *self.documents.borrow_mut() = documents;
    }

    fn asked(&mut self) -> Vec<(String, bool)> {
        self.asked.take()
    }

    fn ask(&mut self, ask: Ask<'_>) -> Reply {
        let root = match ask.host {
            STRICT => self.roots[1],
            NEVER => self.roots[2],
            SAID => self.roots[3],
            _ => self.roots[0],
        };
        let now = self.worker.now();
        let mut request = self.worker.request_on(root).method(ask.method).path(ask.path);
        request = request.upstream(200, &[("content-type", "text/plain")], "hello");
        if !ask.token.is_empty() {
            request = request.header("x-certdrift-token", ask.token);
        }
        request = if self.profile.target == Target::Cluster {
            let declared = ["metadata", "filter_metadata", "certdrift", "sha256"];
            let request = request.property(["connection", "requested_server_name"], ask.host);
            match told(ask.host) {
                Told::This(print) => request.property(declared, print.to_string()),
                Told::Nonsense => request.property(declared, "nonsense"),
                Told::Nothing => request,
            }
        } else {
            match told(ask.host) {
                Told::This(print) => request.tap(&format!("v1 full {now} {print} {}", ask.host)),
                Told::Nonsense => request.tap("nonsense"),
                Told::Nothing => request,
            }
        };
        let response = request.send();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Reply {
            status: response.status,
            headers: response.headers.iter().map(|(name, value)| (text(name), text(value))).collect(),
            body: text(&response.body).trim_end().to_owned(),
        }
    }

    fn metric(&mut self, name: &str) -> u64 {
        self.worker.metric(name).unwrap_or_default()
    }

    fn pass(&mut self) {
        self.worker.advance(1);
    }

    fn has_logged(&self, text: &str) -> bool {
        self.worker.logs().iter().any(|line| line.text.contains(text))
    }
}
