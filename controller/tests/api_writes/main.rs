//! What is written to an API server: the ledger's ConfigMaps, the Lease.
mod api;
mod config_maps;
mod lease;
