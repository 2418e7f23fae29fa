//! Who serves an odd chain: `openssl s_server` where openssl can read it, else a server of our own that reads nothing.
use crate::der::pem;
use certdrift_tests::program::{Server, s_server};
use rcgen::KeyPair;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A version of TLS, as openssl's flag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V12,
    V13,
}

impl Version {
    pub(crate) const ALL: [Self; 2] = [Self::V12, Self::V13];

    pub(crate) fn flag(self) -> &'static str {
        match self {
            Self::V12 => "-tls1_2",
            Self::V13 => "-tls1_3",
        }
    }

    fn ours(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::V12 => &rustls::version::TLS12,
            Self::V13 => &rustls::version::TLS13,
        }
    }
}

/// Serves until it is dropped, or for ever on a thread of its own.
pub(crate) enum Peer {
    Openssl(Server),
    Ours(SocketAddr),
}

impl Peer {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Openssl(server) => server.address,
            Self::Ours(address) => *address,
        }
    }
}

/// Whether openssl can read all of a chain, and takes the first certificate for the key's.
pub(crate) fn openssl_reads(folder: &Path, chain: &[Vec<u8>]) -> bool {
    let reads = |der: &Vec<u8>| {
        std::fs::write(folder.join("one.der"), der).unwrap();
        let mut command = Command::new("openssl");
        command.args(["x509", "-inform", "der", "-in", "one.der", "-noout", "-pubkey"]).current_dir(folder);
        let out = command.stdin(Stdio::null()).output().unwrap();
        // It reads over bytes that follow; what it would serve is not what was meant.
        (out.status.success() && reads_to_the_end(der)).then_some(out.stdout)
    };
    let keys: Option<Vec<_>> = chain.iter().map(reads).collect();
    let mut command = Command::new("openssl");
    command.args(["pkey", "-in", "k.pem", "-pubout"]).current_dir(folder);
    let own = command.output().unwrap().stdout;
    keys.is_some_and(|keys| keys.first() == Some(&own))
}

/// The outermost length is that of all the bytes.
fn reads_to_the_end(der: &[u8]) -> bool {
    let digits = usize::from(der[1].saturating_sub(0x80));
    let length = match der[1] {
        short @ 0..0x80 => usize::from(short),
        _ => der[2..2 + digits].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
    };
    length + 2 + digits == der.len()
}

/// Serves a chain with the key in `k.pem`.
pub(crate) fn serve(folder: &Path, chain: &[Vec<u8>], key: &KeyPair, version: Version) -> Peer {
    std::fs::write(folder.join("k.pem"), key.serialize_pem()).unwrap();
    if !openssl_reads(folder, chain) {
        return ours(chain, key, version);
    }
    let text: Vec<String> = chain.iter().map(|der| pem(der)).collect();
    std::fs::write(folder.join("c.pem"), &text[0]).unwrap();
    std::fs::write(folder.join("chain.pem"), text[1..].concat()).unwrap();
    let base = ["-cert", "c.pem", "-key", "k.pem", version.flag(), "-cipher", "ALL:@SECLEVEL=0"];
    let alone = ["-no-CAfile", "-no-CApath", "-no-CAstore"];
    let more: &[&str] = if chain.len() > 1 { &["-cert_chain", "chain.pem"] } else { &[] };
    Peer::Openssl(s_server(folder, &[&base[..], &alone, more].concat()))
}

/// A fatal alert in the clear (RFC 5246 section 7.2).
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn ours(chain: &[Vec<u8>], key: &KeyPair, version: Version) -> Peer {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = ring::sign::any_supported_type(&key).unwrap();
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version.ours()])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Fixed(Arc::new(CertifiedKey::new(chain, key)))));
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), config) = (stream, Arc::clone(&config)) else { continue };
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                let mut connection = ServerConnection::new(config).unwrap();
                let read = rustls::Stream::new(&mut connection, &mut stream).read(&mut [0; 16]);
                if read.is_err() && connection.is_handshaking() {
                    // In TLS 1.2 rustls hangs up on a client without signatures for its key; others say why.
                    let _ = stream.write_all(&HANDSHAKE_FAILURE);
                }
            });
        }
    });
    Peer::Ours(address)
}
