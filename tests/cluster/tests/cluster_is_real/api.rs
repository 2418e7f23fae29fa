//! Of the API: lists are streamed, and every request is written down.
use crate::PATIENCE;
use certdrift_cluster::Cluster;
use certdrift_harness::wait;
use serde_json::Value;

#[test]
fn a_list_is_streamed_and_says_where_it_ends() {
    let cluster = Cluster::api_only().unwrap();
    let namespace = cluster.namespace("stream").unwrap();
    cluster.kubectl(&["create", "configmap", "one", "--namespace", namespace.name()]).unwrap();
    let uri = format!(
        "/api/v1/namespaces/{}/configmaps?watch=true&sendInitialEvents=true&allowWatchBookmarks=true\
         &resourceVersionMatch=NotOlderThan&timeoutSeconds=2",
        namespace.name()
    );
    let said = cluster.kubectl(&["get", "--raw", &uri]).unwrap();
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let added =
        events.iter().any(|event| event["type"] == "ADDED" && event["object"]["metadata"]["name"] == "one");
    let ended = events.iter().any(|event| {
        event["type"] == "BOOKMARK"
            && event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
    });
    assert!(added && ended, "{said}");
}

#[test]
fn every_request_is_written_down_with_who_asked_and_the_answer() {
    let cluster = Cluster::api_only().unwrap();
    let namespace = cluster.namespace("audit").unwrap();
    let user = format!("system:serviceaccount:{}:nobody", namespace.name());
    let mark = cluster.audit_mark().unwrap();
    let refused =
        cluster.kubectl(&["get", "secret", "a", "--namespace", namespace.name(), "--as", &user]).unwrap_err();
    assert!(refused.to_string().contains("forbidden"), "{refused}");
    wait::until("the refusal in the audit log", PATIENCE, || {
        let requests = cluster.audit_since(mark).unwrap();
        let found = requests.iter().any(|request| {
            request.user() == user
                && request.verb == "get"
                && request.object.resource == "secrets"
                && request.object.name == "a"
                && request.code() == 403
        });
        if found { Ok(()) } else { Err(requests) }
    });
}

#[test]
fn a_deleted_namespace_goes_with_all_in_it() {
    let cluster = Cluster::api_only().unwrap();
    let namespace = cluster.namespace("gone").unwrap();
    let name = namespace.name().to_owned();
    cluster.kubectl(&["create", "configmap", "one", "--namespace", &name]).unwrap();
    drop(namespace);
    cluster.wait(&name, &format!("namespace/{name}"), "delete", PATIENCE).unwrap();
}

#[test]
fn a_client_in_this_process_reaches_the_api_server_once_it_has_entered() {
    let cluster = Cluster::api_only().unwrap();
    let address = cluster.api_address();
    std::thread::spawn(move || {
        cluster.enter().unwrap();
        std::net::TcpStream::connect(address).unwrap();
    })
    .join()
    .unwrap();
}
