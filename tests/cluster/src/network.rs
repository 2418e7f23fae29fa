//! The addresses inside a cluster's network namespace. Every cluster has the same: none sees another's.

/// The node's, and the API server's.
pub(crate) const NODE: &str = "198.18.0.1";
/// The port of the API server.
pub(crate) const API_PORT: u16 = 6443;
/// Pods get theirs from this range.
pub(crate) const PODS: &str = "198.18.16.0/20";
/// Services get theirs from this range, kubeadm's: configuration that ships with its addresses fits.
pub(crate) const SERVICES: &str = "10.96.0.0/16";
/// The first of the Services' range: the API server's own Service.
pub(crate) const API_SERVICE: &str = "10.96.0.1";
/// The cluster's DNS service.
pub(crate) const DNS: &str = "10.96.0.10";
/// The name of the node.
pub(crate) const NODE_NAME: &str = "node1";
