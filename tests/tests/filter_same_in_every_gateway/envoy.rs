//! A real Envoy as a gateway.
use super::gateway::{
    Ask, DEMO, Documents, Gateway, NEVER, NEVER_CONFIG, NONSENSE, OPEN_CONFIG, OTHER, Reply, SAID, STRICT,
    STRICT_CONFIG, Told, UNTOLD, config, print, said_config, told,
};
use certdrift_harness::certs::{Ca, wish};
use certdrift_harness::envoy::{Chain, Envoy};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the ledger's location answers, and the paths it was asked for.
type Location = Arc<Mutex<(Documents, Vec<(String, bool)>)>>;

pub(crate) struct Real {
    envoy: Envoy,
    location: Location,
    _folder: tempfile::TempDir,
}

impl Real {
    pub(crate) fn new() -> Self {
        Self::with(&config("ledger", OPEN_CONFIG), &[DEMO, OTHER, UNTOLD, NONSENSE, STRICT, NEVER, SAID])
    }

    /// With a configuration that cannot be used.
    pub(crate) fn wrong() -> Self {
        Self::with(&config("http://ledger", r#""header_to": "all""#), &[DEMO, UNTOLD])
    }

    fn with(open: &str, hosts: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let leaf = Ca::new("certdrift test").expect("a CA").issue(&wish(&[DEMO])).expect("a leaf");
        let (certificate, key) = leaf.write(folder.path(), "leaf").expect("written");
        let location = Location::default();
        let module = xtask::build::wasm().expect("the filter");
        let mut plan = Envoy::plan().wasm(&module, open).cluster("ledger", serve(&location));
        for &host in hosts {
            let chain = Chain::new(&[host], &certificate, &key);
            let chain = match told(host) {
                Told::This(print) => chain.declares(print),
                Told::Nonsense => chain.declares_text("nonsense"),
                Told::Nothing => chain,
            };
            plan = plan.chain(match host {
                STRICT => chain.configured(&config("ledger", STRICT_CONFIG)),
                NEVER => chain.configured(&config("ledger", NEVER_CONFIG)),
                SAID => chain.configured(&config("ledger", &said_config())),
                _ => chain,
            });
        }
        Self { envoy: plan.start().expect("Envoy starts"), location, _folder: folder }
    }
}

fn serve(location: &Location) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let location = Arc::clone(location);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let location = Arc::clone(&location);
            std::thread::spawn(move || answer(stream, &location));
        }
    });
    address
}

/// Answers by ETag, request after request; without documents it closes without a word.
fn answer(mut stream: TcpStream, location: &Location) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    loop {
        let head: Vec<String> =
            lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let found = {
            let (documents, asked) = &mut *location.lock().expect("not poisoned");
            if head.is_empty() || documents.is_empty() {
                return Ok(());
            }
            documents.iter().find(|(p, _)| *p == path).map(|(_, body)| {
                let etag = format!("\"{}\"", print(body));
                let wanted = format!("if-none-match: {etag}");
                let same = head.iter().any(|line| line.eq_ignore_ascii_case(&wanted));
                asked.push((path, same));
                (body.clone(), etag, same)
            })
        };
        match found {
            None => write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?,
            Some((_, etag, true)) => write!(stream, "HTTP/1.1 304 Not Modified\r\netag: {etag}\r\n\r\n")?,
            Some((body, etag, false)) => {
                let length = body.len();
                write!(stream, "HTTP/1.1 200 OK\r\netag: {etag}\r\ncontent-length: {length}\r\n\r\n{body}")?;
            }
        }
    }
}

impl Gateway for Real {
    fn evidence(&self) -> &'static str {
        "declared"
    }

    fn documents(&mut self, documents: Documents) {
        self.location.lock().expect("not poisoned").0 = documents;
    }

    fn asked(&mut self) -> Vec<(String, bool)> {
        std::mem::take(&mut self.location.lock().expect("not poisoned").1)
    }

    fn ask(&mut self, ask: Ask<'_>) -> Reply {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-servername", ask.host, "-connect"])
            .arg(self.envoy.address().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let token = match ask.token {
            "" => String::new(),
            token => format!("x-certdrift-token: {token}\r\n"),
        };
        let request = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\n{token}connection: close\r\n\r\n",
            ask.method, ask.path, ask.host
        );
        client.stdin.as_mut().expect("piped").write_all(request.as_bytes()).expect("it reads");
        // Envoy keeps a connection a second after its last word, so it is not read to its end.
        let mut lines = BufReader::new(client.stdout.take().expect("piped"));
        let mut line = || {
            let mut line = String::new();
            lines.read_line(&mut line).expect("text");
            line.trim_end().to_owned()
        };
        let first = line();
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{first:?}: {}", self.envoy.log()));
        let headers = std::iter::repeat_with(line).take_while(|line| !line.is_empty());
        let headers = headers.filter_map(|line| {
            line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()))
        });
        let mut reply = Reply { status, headers: headers.collect(), body: String::new() };
        if ask.method != "HEAD" {
            let length = reply.header("content-length").and_then(|length| length.parse().ok());
            let mut body = vec![0; length.unwrap_or_else(|| panic!("{reply:?}"))];
            lines.read_exact(&mut body).expect("the whole body");
            reply.body = String::from_utf8(body).expect("text").trim_end().to_owned();
        }
        let _ = client.kill();
        let _ = client.wait();
        reply
    }

    fn metric(&mut self, name: &str) -> u64 {
        self.envoy.counter(&format!("wasmcustom.{name}")).expect("stats")
    }

    fn pass(&mut self) {
        std::thread::park_timeout(Duration::from_millis(100));
    }

    fn has_logged(&self, text: &str) -> bool {
        self.envoy.log().contains(text)
    }
}
