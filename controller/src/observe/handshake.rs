//! One full TLS handshake: who serves what, whole chain, with or without a server name, and whether the key was proven.
//!
//! The whole probe (connect, PROXY preface, handshake, and what is asked on the connection) has one deadline, so that
//! a peer that accepts and is silent, or drips bytes, costs no more than that; and one budget of bytes.
use super::http::{self, Answer, HttpError};
use super::leaf::Facts;
use super::limited::Limited;
use super::proxy_protocol::ProxyProtocol;
use super::tls;
use super::verifier::{Offer, Possession, Recorder};
use crate::clock;
use crate::source::KeyFamily;
use certdrift_contract::Fingerprint;
use rustls::{
    AlertDescription, CipherSuite, Error, HandshakeKind, InvalidMessage, ProtocolVersion,
    SupportedCipherSuite,
};
use rustls_pki_types::{CertificateDer, ServerName};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A handshake takes no more bytes than this from its peer; a chain of 64 KB is the most a message can hold.
const MOST_BYTES: u64 = 256 << 10;

/// Where and how to look.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// Server name to send; none for an IP address and for the default certificate.
    pub sni: Option<String>,
    /// What the endpoint expects before TLS.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// For the whole probe.
    pub timeout: Duration,
}

/// What came of one handshake.
#[derive(Clone, Debug)]
pub enum Look {
    /// A certificate was presented.
    Served(Box<Served>),
    /// TLS is spoken, but there is no certificate of the family asked for.
    FamilyNotServed(String),
    /// Nobody answered, or not in time, or the connection broke.
    Unreachable(String),
    /// Somebody answered, but no certificate can be seen this way.
    Unobservable(String),
}

/// A certificate that was presented.
#[derive(Clone, Debug)]
pub struct Served {
    /// Of the leaf.
    pub leaf: Fingerprint,
    /// Of all that came after the leaf, in the order sent.
    pub chain: Vec<Fingerprint>,
    /// All certificates, DER, the leaf first.
    pub certificates: Vec<CertificateDer<'static>>,
    /// What the leaf says of itself, or why it cannot be read.
    pub facts: Result<Facts, String>,
    /// Whether the peer holds the leaf's key.
    pub possession: Possession,
    /// `TLSv1.3` or `TLSv1.2`; absent when the handshake broke off after the certificate.
    pub version: Option<&'static str>,
    /// Why the handshake did not come to its end, where it did not: a client certificate is wanted, for one.
    pub broke_off: Option<String>,
}

/// What to ask on the connection once the handshake is done, with a limit for the answer's body in bytes.
pub type Ask = (http::Request, usize);

/// Looks once.
pub async fn look(target: &Target, offer: Offer) -> Look {
    look_and_ask(target, offer, None).await.0
}

/// Looks once, and asks on the same connection: so whoever answers is the very worker that served the certificate.
pub async fn look_and_ask(
    target: &Target,
    offer: Offer,
    ask: Option<Ask>,
) -> (Look, Option<Result<Answer, HttpError>>) {
    let mut answer = None;
    let recorder = Arc::new(Recorder::new(offer));
    let probe = async {
        let unreachable = |e: io::Error| Broken::Unreachable(connect_error(&e));
        let stream = TcpStream::connect(target.address).await.map_err(unreachable)?;
        let from = stream.local_addr().map_err(unreachable)?;
        probe(stream, from, target, offer, Arc::clone(&recorder), ask, &mut answer).await
    };
    (judge(clock::timeout(target.timeout, probe).await.ok(), &recorder, target, offer), answer)
}

/// Looks once over a connection that is made by `connect`: a way that is no address, as into a pod by port-forward. The
/// target's address is where that comes out.
pub async fn look_over<S>(
    connect: impl Future<Output = Result<S, String>>,
    target: &Target,
    offer: Offer,
) -> Look
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let recorder = Arc::new(Recorder::new(offer));
    let probe = async {
        let stream = connect.await.map_err(Broken::Unreachable)?;
        probe(stream, target.address, target, offer, Arc::clone(&recorder), None, &mut None).await
    };
    judge(clock::timeout(target.timeout, probe).await.ok(), &recorder, target, offer)
}

/// What came of a probe.
fn judge(
    end: Option<Result<&'static str, Broken>>,
    recorder: &Recorder,
    target: &Target,
    offer: Offer,
) -> Look {
    let end = match end {
        Some(end) => end,
        None => Err(Broken::Unreachable(format!("no answer within {}", seconds(target.timeout)))),
    };
    let recording = recorder.take();
    match (end, recording.possession) {
        (Ok(version), Some(possession)) => served(recording.chain, possession, Some(version), None, offer),
        (Ok(_), None) => Look::Unobservable("the peer did not prove itself on a full handshake".to_owned()),
        // It signed this very handshake: whatever came after takes nothing from that.
        (Err(broken), Some(possession)) if !recording.chain.is_empty() => {
            served(recording.chain, possession, None, Some(broken.into_words()), offer)
        }
        (Err(Broken::Unreachable(why)), _) => Look::Unreachable(why),
        (Err(Broken::NoCommonGround(why)), _) => match offer.family() {
            Some(family) => {
                Look::FamilyNotServed(format!("no {} certificate is served: {why}", name(family)))
            }
            None => Look::Unobservable(format!("no common ground for a handshake: {why}")),
        },
        (Err(Broken::Unobservable(why)), _) => Look::Unobservable(why),
    }
}

enum Broken {
    Unreachable(String),
    NoCommonGround(String),
    Unobservable(String),
}

impl Broken {
    fn into_words(self) -> String {
        match self {
            Self::Unreachable(why) | Self::NoCommonGround(why) | Self::Unobservable(why) => why,
        }
    }
}

async fn probe<S>(
    mut stream: S,
    from: SocketAddr,
    target: &Target,
    offer: Offer,
    recorder: Arc<Recorder>,
    ask: Option<Ask>,
    answer: &mut Option<Result<Answer, HttpError>>,
) -> Result<&'static str, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(form) = target.proxy_protocol {
        let unreachable = |e: io::Error| Broken::Unreachable(connect_error(&e));
        stream.write_all(&form.preface(from, target.address)).await.map_err(unreachable)?;
    }
    let config = tls::with_verifier(Arc::new(provider(offer)), recorder);
    let name = match &target.sni {
        Some(sni) => ServerName::try_from(sni.clone())
            .map_err(|e| Broken::Unobservable(format!("{sni} cannot be sent as a server name: {e}")))?,
        // An address is never sent as a server name.
        None => ServerName::from(target.address.ip()),
    };
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let connected = connector.connect(name, Limited::new(stream, MOST_BYTES)).await;
    let mut stream = connected.map_err(|e| handshake_error(&e, target))?;
    let session = stream.get_ref().1;
    match session.handshake_kind() {
        Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) => {}
        other => return Err(Broken::Unobservable(format!("not a full handshake: {other:?}"))),
    }
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    match ask {
        None => {
            // Said goodbye to, a server does not log a reset; one that does not listen costs nothing.
            let _ = clock::timeout(Duration::from_millis(50), stream.shutdown()).await;
        }
        Some((request, limit)) => {
            stream.get_mut().0.allow(limit as u64 + MOST_BYTES);
            *answer = Some(http::exchange(stream, request, limit).await);
        }
    }
    Ok(version)
}

/// TLS 1.2 says the family in the cipher suite as well.
fn provider(offer: Offer) -> rustls::crypto::CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    let keeps = |suite: &SupportedCipherSuite| match (offer.family(), suite) {
        (None, _) | (_, SupportedCipherSuite::Tls13(_)) => true,
        (Some(family), SupportedCipherSuite::Tls12(_)) => {
            let rsa = matches!(
                suite.suite(),
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
                    | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
                    | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            );
            rsa == (family == KeyFamily::Rsa)
        }
    };
    provider.cipher_suites.retain(keeps);
    provider
}

fn served(
    certificates: Vec<CertificateDer<'static>>,
    possession: Possession,
    version: Option<&'static str>,
    broke_off: Option<String>,
    offer: Offer,
) -> Look {
    let mut fingerprints = certificates.iter().map(|c| Fingerprint::of(c));
    let Some(leaf) = fingerprints.next() else {
        return Look::Unobservable("the peer sent no certificate".to_owned());
    };
    let chain = fingerprints.collect();
    let facts = certificates.first().map_or(Err(String::new()), |c| Facts::of(c));
    // A server may show what it has whatever we say we can take.
    if let (Some(asked), Ok(Facts { family: Some(got), .. })) = (offer.family(), &facts)
        && asked != *got
    {
        let why = format!("no {} certificate is served: the peer shows a {} one", name(asked), name(*got));
        return Look::FamilyNotServed(why);
    }
    Look::Served(Box::new(Served { leaf, chain, certificates, facts, possession, version, broke_off }))
}

/// As people write it.
#[must_use]
pub const fn name(family: KeyFamily) -> &'static str {
    match family {
        KeyFamily::Rsa => "RSA",
        KeyFamily::Ecdsa => "ECDSA",
        KeyFamily::Ed25519 => "Ed25519",
    }
}

fn connect_error(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens there".to_owned(),
        _ => format!("cannot connect: {e}"),
    }
}

fn handshake_error(e: &io::Error, target: &Target) -> Broken {
    let Some(error) = e.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        let hint = match target.proxy_protocol {
            None => "; does it expect the PROXY protocol?",
            Some(_) => "; does it expect another form of the PROXY protocol, or none?",
        };
        return match e.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Broken::Unreachable(format!("the peer closed the connection during the handshake{hint}"))
            }
            _ => Broken::Unreachable(format!("the handshake broke: {e}")),
        };
    };
    match error {
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity) => {
            Broken::NoCommonGround("the peer answers handshake_failure".to_owned())
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            Broken::Unobservable("protocol too old: the peer speaks neither TLS 1.2 nor TLS 1.3".to_owned())
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            Broken::Unobservable("the peer refuses the server name (unrecognized_name)".to_owned())
        }
        Error::AlertReceived(alert) => {
            Broken::Unobservable(format!("the peer answers with the alert {alert:?}"))
        }
        Error::PeerIncompatible(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            Broken::Unobservable("protocol too old: the peer speaks neither TLS 1.2 nor TLS 1.3".to_owned())
        }
        Error::PeerIncompatible(why) => Broken::NoCommonGround(format!("{why:?}")),
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => Broken::Unobservable(
            "it sends more than 64 KB of certificates, which is more than most clients take".to_owned(),
        ),
        Error::InvalidMessage(_) => {
            Broken::Unobservable(format!("what answers does not speak TLS ({error})"))
        }
        other => Broken::Unobservable(format!("the handshake failed: {other}")),
    }
}

fn seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

/// The server name to send for a host as a ledger lists it, and whether a label of it is made up: a wildcard cannot be sent.
#[must_use]
pub fn sni_for(listed: &str) -> (Option<String>, bool) {
    const MADE_UP: &str = "certdrift-probe";
    if listed == "default" || certdrift_contract::host::is_ip(listed.as_bytes()) {
        return (None, false);
    }
    if listed == "*" {
        return (Some(format!("{MADE_UP}.invalid")), true);
    }
    if let Some(parent) = listed.strip_prefix("*.") {
        return (Some(format!("{MADE_UP}.{parent}")), true);
    }
    match listed.strip_suffix(".*") {
        Some(stem) => (Some(format!("{stem}.{MADE_UP}")), true),
        None => (Some(listed.to_owned()), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_probed_by_a_made_up_label_and_said_so() {
        assert_eq!(sni_for("*.example.com"), (Some("certdrift-probe.example.com".into()), true));
        assert_eq!(sni_for("shop.*"), (Some("shop.certdrift-probe".into()), true));
        assert_eq!(sni_for("*"), (Some("certdrift-probe.invalid".into()), true));
        assert_eq!(sni_for("a.example.com"), (Some("a.example.com".into()), false));
    }

    #[test]
    fn an_address_and_the_default_certificate_send_no_server_name() {
        for listed in ["default", "192.0.2.1", "::1"] {
            assert_eq!(sni_for(listed), (None, false));
        }
    }

    #[derive(Debug)]
    struct Fixed(Arc<rustls::sign::CertifiedKey>);

    impl rustls::server::ResolvesServerCert for Fixed {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    /// Looks at a server that shows the first certificate and signs with the second's key.
    async fn shown_and_signed_by(version: &'static rustls::SupportedProtocolVersion, own: bool) -> Look {
        let made = || rcgen::generate_simple_self_signed(["a.example.com".to_owned()]).unwrap();
        let (shown, other) = (made(), made());
        let signing = if own { &shown } else { &other };
        let key = rustls_pki_types::PrivateKeyDer::try_from(signing.signing_key.serialize_der()).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        let certified = rustls::sign::CertifiedKey::new(vec![shown.cert.der().clone()], key);
        let config = rustls::ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Fixed(Arc::new(certified))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await;
        });
        let timeout = Duration::from_secs(10);
        let target = Target { address, sni: Some("a.example.com".into()), proxy_protocol: None, timeout };
        look(&target, Offer::Any).await
    }

    #[tokio::test]
    async fn who_shows_a_certificate_without_its_key_is_found_out() {
        for version in rustls::ALL_VERSIONS {
            for (own, possession) in [(true, Possession::Proven), (false, Possession::Refuted)] {
                match shown_and_signed_by(version, own).await {
                    Look::Served(served) => assert_eq!(served.possession, possession, "{version:?}"),
                    other => panic!("{version:?}: {other:?}"),
                }
            }
        }
    }
}
