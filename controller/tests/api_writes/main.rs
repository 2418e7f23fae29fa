//! What is written to an API server: the ledger's ConfigMaps, the Lease, Events.
mod api;
mod config_maps;
mod events;
mod lease;
