//! The images there are: what each holds and how a pod uses it.
use super::{Image, Root};
use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::progress::quietly;
use xtask::tools::{self, Tool};
use xtask::{build, workspace};

const LUA: &str = "/usr/share/lua/5.1";
const MODULES: &str = "/usr/lib/nginx/modules";
/// User and group of what needs no rights.
const NONROOT: &str = "65532:65532";

/// An image that can be had: see [`Cluster::image`](crate::Cluster::image).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Picture {
    /// What holds a pod's namespaces.
    Pause,
    /// A shell and its commands; serves `/www` on port 8080 unless told otherwise. Alone, without a C library beside it,
    /// Debian's static busybox crashes in `wget`; `nslookup` and `nc` work.
    Busybox,
    /// certdrift as it is built for the tests, without a shell, as no root. The entry point is the binary.
    Certdrift,
    /// Debian's nginx with the tap and a shell, as no root. Reads `/etc/nginx/nginx.conf`: serves `tls.crt` and `tls.key` of
    /// `/etc/certdrift-tls` on port 8443, with two workers; its tap answers on loopback and, with the token, on port 8788.
    Nginx,
    /// Debian's nginx with the tap, taking its certificates by push as Kong does (`tests/cluster/gateway`), as no root: TLS
    /// on port 8443, `POST /config` on 8001, `/status` on 8100; its tap as [`Picture::Nginx`]'s.
    Gateway,
    /// The stand-in for Kong's ingress controller (`tests/kic`), as no root.
    Kic,
    /// Envoy with the filter at `/etc/envoy/certdrift.wasm` and a shell, as no root. Reads `/etc/envoy/envoy.yaml`, which
    /// has to be mounted.
    Envoy,
    /// cert-manager's controller.
    CertManager,
    /// cert-manager's admission webhook.
    CertManagerWebhook,
}

impl Picture {
    /// `localhost/NAME:TAG`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pause => "localhost/pause:test",
            Self::Busybox => "localhost/busybox:test",
            Self::Certdrift => "localhost/certdrift:test",
            Self::Nginx => "localhost/nginx:test",
            Self::Gateway => "localhost/gateway:test",
            Self::Kic => "localhost/kic:test",
            Self::Envoy => "localhost/envoy:test",
            Self::CertManager => "localhost/cert-manager-controller:test",
            Self::CertManagerWebhook => "localhost/cert-manager-webhook:test",
        }
    }

    /// Programs of others in it.
    #[must_use]
    pub fn tools(self) -> &'static [Tool] {
        match self {
            Self::Pause => &[Tool::Cc],
            Self::Busybox => &[Tool::Busybox],
            Self::Certdrift | Self::Kic => &[],
            Self::Nginx | Self::Gateway => &[Tool::Nginx, Tool::Busybox],
            Self::Envoy => &[Tool::Envoy, Tool::Busybox],
            Self::CertManager | Self::CertManagerWebhook => &[Tool::CertManager],
        }
    }

    /// Makes it, in `folder`; gives the archive.
    pub(crate) fn paint(self, folder: &Path) -> Result<PathBuf> {
        let short = self.name().trim_start_matches("localhost/").trim_end_matches(":test");
        let root = Root::empty(&folder.join(format!("{short}.files")))?;
        let image = self.fill(&root).with_context(|| format!("the image {}", self.name()))?;
        let archive = image.write(root.folder(), folder)?;
        std::fs::remove_dir_all(root.folder())?;
        Ok(archive)
    }

    fn fill(self, root: &Root) -> Result<Image<'static>> {
        let image = Image { name: self.name(), ..Image::default() };
        Ok(match self {
            Self::Pause => {
                let source = workspace::root().join("tests/cluster/pause.c");
                let mut compile = Command::new(tools::find(Tool::Cc)?);
                quietly(compile.args(["-Os", "-static", "-s", "-o"]).arg(root.at("/pause")).arg(source))?;
                Image { entrypoint: &["/pause"], user: NONROOT, ..image }
            }
            Self::Busybox => {
                root.busybox()?;
                root.file("/www/index.html", "hello\n")?;
                Image { arguments: &["httpd", "-f", "-p", "8080", "-h", "/www"], ..image }
            }
            Self::Certdrift => {
                root.stripped(&build::certdrift()?, "/certdrift")?;
                Image { entrypoint: &["/certdrift"], user: NONROOT, ..image }
            }
            Self::Kic => {
                root.stripped(&build::kic()?, "/kic")?;
                Image { entrypoint: &["/kic"], user: NONROOT, ..image }
            }
            Self::Nginx | Self::Gateway => {
                nginx(root)?;
                if self == Self::Gateway {
                    gateway(root)?;
                }
                Image {
                    entrypoint: &["/usr/sbin/nginx"],
                    arguments: &["-e", "/dev/stderr"],
                    user: NONROOT,
                    ..image
                }
            }
            Self::Envoy => {
                root.busybox()?;
                root.program(&tools::find(Tool::Envoy)?, "/usr/bin/envoy")?;
                root.copy(&build::wasm()?, "/etc/envoy/certdrift.wasm")?;
                let arguments = &[
                    "--config-path",
                    "/etc/envoy/envoy.yaml",
                    "--disable-hot-restart",
                    "--concurrency",
                    "2",
                ];
                Image { entrypoint: &["/usr/bin/envoy"], arguments, user: NONROOT, ..image }
            }
            Self::CertManager | Self::CertManagerWebhook => {
                root.program(&tools::find(Tool::CertManager)?, "/cert-manager")?;
                let entrypoint: &[&str] = if self == Self::CertManager {
                    &["/cert-manager", "controller"]
                } else {
                    &["/cert-manager", "webhook"]
                };
                Image { entrypoint, user: NONROOT, ..image }
            }
        })
    }
}

fn nginx(root: &Root) -> Result<()> {
    root.busybox()?;
    root.program(&tools::find(Tool::Nginx)?, "/usr/sbin/nginx")?;
    for module in ["ndk_http_module.so", "ngx_http_lua_module.so"] {
        let path = format!("{MODULES}/{module}");
        root.program(Path::new(&path), &path)?;
    }
    for part in ["ngx", "resty"] {
        root.copy(&Path::new(LUA).join(part), &format!("{LUA}/{part}"))?;
    }
    // As they ship, but for the lines marked EDIT that let the controller in another pod read.
    let shipped = workspace::root().join("deploy/kong");
    for name in ["certdrift-http.conf", "certdrift-proxy.conf", "certdrift.lua"] {
        let text = std::fs::read_to_string(shipped.join(name))?;
        root.file(&format!("/etc/certdrift/{name}"), &text.replace("# listen 8788;", "listen 8788;"))?;
    }
    let mut text = load_modules();
    text.push_str("worker_processes 2;\ndaemon off;\npid /tmp/nginx.pid;\nerror_log /dev/stderr notice;\n");
    text.push_str("events { worker_connections 1024; }\nhttp {\naccess_log off;\n");
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "{kind}_temp_path /tmp/{kind};")?;
    }
    text.push_str(
        "ssl_protocols TLSv1.2 TLSv1.3;\ninclude /etc/certdrift/certdrift-http.conf;\nserver {\n\
         include /etc/certdrift/certdrift-proxy.conf;\nlisten 8443 ssl;\n\
         ssl_certificate /etc/certdrift-tls/tls.crt;\nssl_certificate_key /etc/certdrift-tls/tls.key;\n\
         location / { return 200 \"hello\\n\"; }\n}\n}\n",
    );
    root.file("/etc/nginx/nginx.conf", &text)
}

fn load_modules() -> String {
    let line = |module: &str| format!("load_module {MODULES}/{module}.so;\n");
    ["ndk_http_module", "ngx_http_lua_module"].map(line).concat()
}

/// What makes of [`nginx`]'s one that takes pushes.
fn gateway(root: &Root) -> Result<()> {
    let folder = workspace::root().join("tests/cluster/gateway");
    let text = std::fs::read_to_string(folder.join("nginx.conf"))?;
    root.file("/etc/nginx/nginx.conf", &(load_modules() + &text))?;
    root.file("/etc/nginx/gateway.lua", &std::fs::read_to_string(folder.join("gateway.lua"))?)?;
    // Subject and issuer as Kong's: by them the tap knows a placeholder.
    let key = rcgen::KeyPair::generate()?;
    let mut placeholder = rcgen::CertificateParams::new(vec![])?;
    placeholder.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    root.file("/etc/nginx/placeholder.crt", &placeholder.self_signed(&key)?.pem())?;
    root.file("/etc/nginx/placeholder.key", &key.serialize_pem())
}
