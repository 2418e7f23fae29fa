//! A client process of its own, so that its CPU is told by the kernel: the observer's handshakes, or the bare engine's.
use anyhow::{Context as _, Result, bail};
use certdrift::observe::handshake::{self, Look, Target};
use certdrift::observe::http::Request;
use certdrift::observe::tls;
use certdrift::observe::verifier::Offer;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The first argument that makes this program a client.
pub(crate) const COMMAND: &str = "client";

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The observer's look: recorded, hashed, parsed, the key's possession verified.
    Observer,
    /// The same, with one request on the connection.
    ObserverAsks,
    /// rustls with one shared configuration, nothing recorded: what the engine costs alone.
    Engine,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Observer, Self::ObserverAsks, Self::Engine];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Observer => "observer",
            Self::ObserverAsks => "observer-asks",
            Self::Engine => "engine",
        }
    }
}

/// This program as a client that makes so many full handshakes, so many at a time.
pub(crate) fn command(
    kind: Kind,
    address: SocketAddr,
    name: &str,
    count: usize,
    in_flight: usize,
) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([COMMAND, kind.as_str(), &address.to_string(), name]);
    command.args([count.to_string(), in_flight.to_string()]);
    Ok(command)
}

/// Is the client.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [kind, address, name, count, in_flight] = arguments else {
        bail!("{COMMAND} KIND ADDRESS SERVER-NAME COUNT IN-FLIGHT")
    };
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind).context("no such client")?;
    let (address, count): (SocketAddr, usize) = (address.parse()?, count.parse()?);
    let in_flight: usize = in_flight.parse()?;
    // One thread, as the controller.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = engine();
        let mut running = JoinSet::new();
        for _ in 0..count {
            while running.len() >= in_flight {
                running.join_next().await.context("none runs")???;
            }
            running.spawn(once(kind, address, name.clone(), Arc::clone(&config)));
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        println!("{count}");
        Ok(())
    })
}

async fn once(kind: Kind, address: SocketAddr, name: String, config: Arc<ClientConfig>) -> Result<()> {
    if kind == Kind::Engine {
        let stream = TcpStream::connect(address).await?;
        let connector = tokio_rustls::TlsConnector::from(config);
        let mut stream = connector.connect(ServerName::try_from(name)?, stream).await?;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
        return Ok(());
    }
    let url = format!("https://{name}/").parse()?;
    let target = Target { address, sni: Some(name), proxy_protocol: None, timeout: Duration::from_secs(20) };
    let ask = (kind == Kind::ObserverAsks).then(|| (Request::get(url), 1 << 16));
    let (look, answer) = handshake::look_and_ask(&target, Offer::Any, ask).await;
    match (look, answer.transpose()?) {
        (Look::Served(_), Some(answer)) if answer.status != 200 => bail!("answered {}", answer.status),
        (Look::Served(_), _) => Ok(()),
        (other, _) => bail!("{other:?}"),
    }
}

/// Takes any certificate; the handshake's signature is verified, as every peer does it.
#[derive(Debug)]
struct Any(Arc<CryptoProvider>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn engine() -> Arc<ClientConfig> {
    let provider = tls::provider();
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("ring has suites for both")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any(provider)))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}
