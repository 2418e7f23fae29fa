//! A gateway pod's admin port: its status, and pushes.
use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// Kong's admin port, here without TLS.
const ADMIN: u16 = 8001;
/// A pod that hangs was seen to hold KIC's loop for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Kong's hash of no configuration.
const EMPTY: &str = "00000000000000000000000000000000";

/// A pod of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gateway {
    /// The pod's.
    pub(crate) name: String,
    pub(crate) address: IpAddr,
}

impl Gateway {
    /// As KIC's metrics and Events name it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", SocketAddr::new(self.address, ADMIN))
    }

    /// Whether it has no configuration yet.
    pub(crate) async fn is_empty(&self) -> Result<bool> {
        let (status, body) = self.ask(Method::GET, "/status", String::new()).await?;
        anyhow::ensure!(status == 200, "HTTP status {status}");
        let said: serde_json::Value = serde_json::from_str(&body)?;
        Ok(said.get("configuration_hash").and_then(serde_json::Value::as_str) == Some(EMPTY))
    }

    /// Pushes a configuration; gives what it is refused with.
    pub(crate) async fn push(&self, text: &str) -> Result<Result<(), String>> {
        let (status, body) = self.ask(Method::POST, "/config", text.to_owned()).await?;
        Ok(if status == 201 { Ok(()) } else { Err(format!("HTTP status {status} {}", body.trim())) })
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Result<(u16, String)> {
        let asked = async {
            let stream = TcpStream::connect((self.address, ADMIN)).await?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let request = Request::builder().method(method).uri(path).header("host", "gateway");
            let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
            let status = answer.status().as_u16();
            let bytes = answer.into_body().collect().await?.to_bytes();
            anyhow::Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
        };
        tokio::time::timeout(PATIENCE, asked).await.with_context(|| format!("no answer in {PATIENCE:?}"))?
    }
}
