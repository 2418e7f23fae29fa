//! Whether a gateway's pods have loaded what is stored: the hop between the Secret and the wire.
//!
//! Kong without a database tells a hash of the configuration it runs by. It is **never equal on two pods** that were
//! given the same configuration (entities get ids and times of their own), so a pod is compared with its own past, and
//! with *when* its fellows' last changed. Why it has not loaded a change its ingress controller tells, by Events and metrics.
pub mod configuration;
pub mod findings;
pub mod metrics;
pub mod pushes;
