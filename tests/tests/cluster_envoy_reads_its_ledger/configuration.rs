//! What Envoy is configured with.
use super::{HOST, Leaf};
use serde_json::{Value, json};

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const TEXT: &str = "type.googleapis.com/google.protobuf.StringValue";

fn manager(name: &str, routes: &Value, filters: &[Value]) -> Value {
    let mut all = filters.to_vec();
    all.push(json!({"name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}));
    json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name, "http_filters": all,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "direct_response": routes}]}]}}})
}

fn filter(configuration: &Value) -> Value {
    json!({"name": "envoy.filters.http.wasm", "typed_config": {"@type": WASM, "config": {
        "name": "certdrift", "root_id": "certdrift",
        "vm_config": {"vm_id": "certdrift", "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": "/etc/envoy/certdrift.wasm"}}},
        "configuration": {"@type": TEXT, "value": configuration.to_string()}}}})
}

/// The controller's answer first, the mounted file where there is none.
fn ledger(token: &str) -> Value {
    json!({"poll_interval_seconds": 1, "locations": [
        {"upstream": "controller", "path": "/ledger/edge", "token": token},
        {"upstream": "file", "path": "/ledger/ledger.json"}]})
}

/// What serves `HOST`, as whoever renews the gateway's certificate writes it.
pub(super) fn listeners(leaf: &Leaf, token: &str) -> String {
    let declared = json!({"ledger": ledger(token), "prefix": "",
        "certificate": {"declared": {"fingerprint": leaf.fingerprint.to_string(), "sni": HOST}}});
    let listener = json!({"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "https",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8443}},
        "filter_chains": [{
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [{
                    "certificate_chain": {"inline_string": leaf.certificate}, "private_key": {"inline_string": leaf.key}}]}}},
            "filters": [manager("https", &json!({"status": 200}), &[filter(&declared)])]}]});
    json!({"resources": [listener]}).to_string()
}

/// All the rest: health, the mounted ledger, the controller.
pub(super) fn bootstrap(token: &str, controller: &str) -> String {
    let address =
        |address: &str, port: u16| json!({"socket_address": {"address": address, "port_value": port}});
    // The kubelet and this test ask from the node.
    let health = json!({"ledger": ledger(token), "health": {"allow": ["127.0.0.0/8", "198.18.0.0/15"]}});
    let files = json!({"name": "envoy.filters.http.file_server", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.file_server.v3.FileServerConfig",
        "manager_config": {"thread_pool": {"thread_count": 1}},
        "path_mappings": [{"request_path_prefix": "/ledger", "file_path_prefix": "/ledger"}]}});
    let listener = |name: &str, at: Value, http: Value| json!({"name": name, "address": at, "filter_chains": [{"filters": [manager(name, &json!({"status": 404}), &[http])]}]});
    let to = |name: &str, kind: &str, at: Value| {
        json!({"name": name, "type": kind, "connect_timeout": "1s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at}}]}]}})
    };
    let mut over_tls = to("controller", "STRICT_DNS", address(controller, 9480));
    over_tls["transport_socket"] = json!({"name": "envoy.transport_sockets.tls", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": controller,
        "common_tls_context": {"validation_context": {"trusted_ca": {"filename": "/controller/ca.crt"}}}}});
    json!({
        "node": {"id": "edge", "cluster": "edge"},
        "admin": {"address": address("0.0.0.0", 9901)},
        "dynamic_resources": {"lds_config": {"path_config_source": {"path": "/conf/listeners.json",
            "watched_directory": {"path": "/conf"}}}},
        "static_resources": {
            "listeners": [
                listener("health", address("0.0.0.0", 9481), filter(&health)),
                listener("files", address("127.0.0.1", 9482), files)],
            "clusters": [over_tls, to("file", "STATIC", address("127.0.0.1", 9482))]}
    })
    .to_string()
}
