//! The node: containerd, the kubelet and kube-proxy, and their configuration.
use crate::network::{DNS, NODE, NODE_NAME, PODS};
use crate::place::Place;
use crate::plan::Daemon;
use anyhow::Result;
use serde_json::json;
use std::fs;
use xtask::tools::{self, Tool};

/// Where containerd listens, in the cluster's mounts.
pub(crate) const CONTAINERD: &str = "/run/containerd/containerd.sock";

pub(crate) fn daemons(place: &Place) -> Result<Vec<Daemon>> {
    tools::find(Tool::Nft)?;
    cni(place)?;
    Ok(vec![containerd(place)?, kubelet(place)?, proxy(place)?, dns(place)?])
}

/// What the node needs the API to know: CoreDNS may read, and is the Service that pods ask. It runs beside the kubelet
/// rather than in a pod: one thing less to wait for.
pub(crate) fn objects() -> String {
    let ports = json!([{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]);
    let service = json!({"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}});
    let mut slice = service.clone();
    slice["labels"]["kubernetes.io/service-name"] = json!("kube-dns");
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": service, "spec": {"clusterIP": DNS, "ports": ports}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": slice, "addressType": "IPv4",
         "endpoints": [{"addresses": [NODE]}], "ports": ports},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:coredns"},
         "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
         ]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
         "metadata": {"name": "system:coredns"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:coredns"}]},
    ]})
    .to_string()
}

fn dns(place: &Place) -> Result<Daemon> {
    // Names outside the cluster have no answer: there is nothing outside.
    let configuration = format!(
        ".:53 {{\n  bind {NODE}\n  errors\n  cache 5\n  kubernetes cluster.local in-addr.arpa {{\n    kubeconfig {}\n  }}\n}}\n",
        place.at("pki/dns.kubeconfig").display()
    );
    let file = place.at("conf/Corefile");
    fs::write(&file, configuration)?;
    Ok(Daemon::new(&tools::find(Tool::CoreDns)?, vec!["-conf".into(), file.display().to_string()]))
}

fn cni(place: &Place) -> Result<()> {
    fs::create_dir_all(place.at("conf/cni"))?;
    let plugins = json!({"cniVersion": "0.4.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}],
                  "dataDir": "/run/cni-ipam"}},
    ]});
    fs::write(place.at("conf/cni/10-pods.conflist"), serde_json::to_vec_pretty(&plugins)?)?;
    Ok(())
}

fn containerd(place: &Place) -> Result<Daemon> {
    let configuration = format!(
        r#"version = 2
root = "{root}"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "{runc}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
"#,
        root = place.at("containerd").display(),
        pause = crate::image::Picture::Pause.name(),
        runc = tools::find(Tool::Runc)?.display(),
        cni = place.at("conf/cni").display(),
    );
    let file = place.at("conf/containerd.toml");
    fs::write(&file, configuration)?;
    Ok(Daemon::new(&tools::find(Tool::Containerd)?, vec![format!("--config={}", file.display())]))
}

fn kubelet(place: &Place) -> Result<Daemon> {
    let resolver = place.at("conf/resolv.conf");
    fs::write(&resolver, format!("nameserver {DNS}\n"))?;
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", place.cgroup()),
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": place.at("pki/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS],
        "resolvConf": resolver,
        "failSwapOn": false,
        "volumePluginDir": place.at("flex"),
        // The images are ours, and cannot be had again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Mi", "nodefs.inodesFree": "0%",
                         "imagefs.available": "1Mi", "imagefs.inodesFree": "0%"},
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    });
    let file = place.at("conf/kubelet.json");
    fs::write(&file, serde_json::to_vec_pretty(&configuration)?)?;
    let arguments = vec![
        format!("--config={}", file.display()),
        format!("--kubeconfig={}", place.at("pki/kubelet.kubeconfig").display()),
        format!("--root-dir={}", place.at("kubelet").display()),
        format!("--node-ip={NODE}"),
        format!("--hostname-override={NODE_NAME}"),
    ];
    Ok(Daemon::new(&tools::find(Tool::Kubelet)?, arguments))
}

fn proxy(place: &Place) -> Result<Daemon> {
    let configuration = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE_NAME,
        "clientConnection": {"kubeconfig": place.at("pki/proxy.kubeconfig")},
        // 0: leave the machine's settings as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    });
    let file = place.at("conf/proxy.json");
    fs::write(&file, serde_json::to_vec_pretty(&configuration)?)?;
    Ok(Daemon::new(&tools::find(Tool::KubeProxy)?, vec![format!("--config={}", file.display())]))
}
