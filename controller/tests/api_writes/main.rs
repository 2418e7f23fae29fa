//! What is written to an API server: the ledger's ConfigMaps.
mod api;
mod config_maps;
