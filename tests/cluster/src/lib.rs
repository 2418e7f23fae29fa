//! A real single-node Kubernetes cluster in namespaces of its own: for the tests, the demo and the benchmarks.
//!
//! [`up`](up::up) starts it: etcd, the API server and the controllers, and with [`Kind::Node`] scheduler, kubelet,
//! containerd and kube-proxy, each the real program (`xtask::tools`). It lives in a mount, process and network namespace
//! of its own, so that two run side by side and [`down`](up::down) is one kill. A test says:
//!
//! ```no_run
//! # use certdrift_cluster::Cluster;
//! let cluster = Cluster::api_only()?;
//! let namespace = cluster.namespace("renewal")?;
//! let mark = cluster.audit_mark()?;
//! cluster.apply(r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}"#)?;
//! let mut controller = cluster.command(xtask::build::certdrift()?)?;
//! controller.arg("run").spawn()?;
//! assert!(cluster.audit_since(mark)?.iter().all(|request| request.code() != 403));
//! # anyhow::Ok(())
//! ```
#![forbid(unsafe_code)]

mod addons;
pub mod audit;
pub mod cluster;
mod control_plane;
pub mod image;
pub mod init;
mod kong;
mod network;
mod node;
mod pki;
pub mod place;
mod plan;
pub mod up;

pub use addons::CERT_MANAGER;
pub use cluster::{Cluster, Namespace, Own};
pub use kong::{GatewayPod, Kong};
pub use place::Place;
pub use plan::Kind;
