//! Certificates stored in a cluster: Secrets read without their keys, and the requests of cert-manager.
//!
//! ```text
//! reach cluster, namespaces: Secrets (watched) ─> secret ─> inventory ┐
//! reach keyless: Certificates, CertificateRequests ─> requests ───────┴─> Inventory, Incoming ─> binding
//! ```
pub mod findings;
pub mod inventory;
pub mod requests;
pub mod secret;

/// How far certdrift may look; the chart's `reach`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Secrets of all namespaces.
    Cluster,
    /// Secrets of these namespaces only.
    Namespaces(Vec<String>),
    /// No Secrets at all: what is stored is told by cert-manager's CertificateRequests.
    Keyless,
}

#[cfg(test)]
mod tests;
