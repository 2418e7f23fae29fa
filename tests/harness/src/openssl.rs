//! `openssl s_client` as the tests' witness: what a server presented, and what it answered on that same connection.
use anyhow::{Context as _, bail};
use certdrift_contract::Fingerprint;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The versions that are still spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// TLS 1.2
    V12,
    /// TLS 1.3
    V13,
}

/// The protocols a request is sent by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Http {
    /// HTTP/1.1
    H1,
    /// HTTP/2
    H2,
}

/// A handshake, and one `GET /` on its connection.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    address: SocketAddr,
    sni: Option<&'a str>,
    version: Version,
    http: Http,
    only_rsa: bool,
    save: Option<&'a Path>,
    resume: Option<&'a Path>,
}

/// What the client saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Of the leaf; for a resumed session that of the session's own handshake.
    pub leaf: Fingerprint,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// All it printed: certificate, session, and the answer.
    pub output: String,
}

impl<'a> Client<'a> {
    /// TLS 1.3 and HTTP/1.1 without a server name.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            sni: None,
            version: Version::V13,
            http: Http::H1,
            only_rsa: false,
            save: None,
            resume: None,
        }
    }

    /// Sends this server name.
    #[must_use]
    pub fn sni(mut self, name: &'a str) -> Self {
        self.sni = Some(name);
        self
    }

    /// Speaks this version only.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Asks by this protocol.
    #[must_use]
    pub fn http(mut self, http: Http) -> Self {
        self.http = http;
        self
    }

    /// Takes RSA certificates only, so that a pair shows its other member.
    #[must_use]
    pub fn only_rsa(mut self) -> Self {
        self.only_rsa = true;
        self
    }

    /// Keeps the session in a file.
    #[must_use]
    pub fn save(mut self, session: &'a Path) -> Self {
        self.save = Some(session);
        self
    }

    /// Offers a session that was kept.
    #[must_use]
    pub fn resume(mut self, session: &'a Path) -> Self {
        self.resume = Some(session);
        self
    }

    /// Connects, asks, and reads until `enough` is in the output.
    ///
    /// # Errors
    /// No handshake, or the text does not come within ten seconds; with what was printed.
    pub fn ask(&self, enough: &str) -> anyhow::Result<Seen> {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-ign_eof", "-connect", &self.address.to_string()]);
        match self.sni {
            Some(name) => command.args(["-servername", name]),
            None => command.arg("-noservername"),
        };
        command.arg(match self.version {
            Version::V12 => "-tls1_2",
            Version::V13 => "-tls1_3",
        });
        if self.only_rsa {
            command.args(["-sigalgs", "RSA-PSS+SHA256"]);
        }
        if self.http == Http::H2 {
            command.args(["-alpn", "h2"]);
        }
        for (flag, file) in [("-sess_out", self.save), ("-sess_in", self.resume)] {
            if let Some(file) = file {
                command.arg(flag).arg(file);
            }
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("openssl: install Debian's package openssl")?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin.write_all(&self.request())?;
        let mut stdout = child.stdout.take().context("no stdout")?;
        let reader = std::thread::spawn({
            let enough = enough.as_bytes().to_vec();
            move || {
                let (mut all, mut buffer) = (Vec::new(), [0u8; 4096]);
                while let Ok(n @ 1..) = stdout.read(&mut buffer) {
                    all.extend_from_slice(&buffer[..n]);
                    if all.windows(enough.len()).any(|w| w == enough) {
                        break;
                    }
                }
                all
            }
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        while !reader.is_finished() && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        child.kill().ok();
        child.wait()?;
        drop(stdin);
        let output = reader.join().map_err(|_| anyhow::anyhow!("the reader fell over"))?;
        let output = String::from_utf8_lossy(&output).into_owned();
        if !output.contains(enough) {
            let mut said = String::new();
            child.stderr.take().context("no stderr")?.read_to_string(&mut said)?;
            bail!("{enough:?} did not come: {output}{said}");
        }
        Ok(Seen { leaf: leaf(&output)?, resumed: output.contains("\nReused, "), output })
    }

    fn request(&self) -> Vec<u8> {
        let host = self.sni.unwrap_or("localhost");
        match self.http {
            Http::H1 => format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").into_bytes(),
            Http::H2 => h2_get(host),
        }
    }
}

/// The bytes of `GET /` by HTTP/2 (RFC 9113): preface, empty SETTINGS, one HEADERS frame on stream 1 whose header block
/// names the static table's entries 2, 7 and 4, and `:authority` (1) with a plain literal (RFC 7541).
fn h2_get(host: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x87, 0x84, 0x41, u8::try_from(host.len().min(126)).unwrap_or(0)];
    block.extend(host.bytes().take(126));
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, u8::try_from(block.len()).unwrap_or(0), 1, 0x05, 0, 0, 0, 1]);
    bytes.extend(block);
    bytes
}

/// The fingerprint of the certificate in `s_client`'s output, worked out by `openssl x509`, not by code of ours.
fn leaf(output: &str) -> anyhow::Result<Fingerprint> {
    let begin = output.find("-----BEGIN CERTIFICATE-----").context("no certificate was presented")?;
    let mut child = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no stdin")?.write_all(&output.as_bytes()[begin..])?;
    let out = child.wait_with_output()?;
    let text = String::from_utf8(out.stdout)?;
    let hex = text.trim().rsplit('=').next().unwrap_or_default().replace(':', "").to_ascii_lowercase();
    hex.parse().with_context(|| text.clone())
}
