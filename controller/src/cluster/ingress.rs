//! Ingress and IngressClass (networking.k8s.io/v1).
use super::Meta;
use super::object::list;
use serde::Deserialize;

/// An Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ingress {
    /// Name, age, class annotation.
    pub metadata: Meta,
    /// Class and certificates.
    pub spec: IngressSpec,
}

/// `spec` of an Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressSpec {
    /// Its class, unless the older annotation names one.
    pub ingress_class_name: Option<Box<str>>,
    /// Which Secret answers for which hosts.
    #[serde(deserialize_with = "list")]
    pub tls: Vec<IngressTls>,
}

/// A section of an Ingress's `tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTls {
    /// May be empty, and then binds nothing.
    #[serde(deserialize_with = "list")]
    pub hosts: Vec<Box<str>>,
    /// In the Ingress's namespace. May be empty.
    pub secret_name: Option<Box<str>>,
}

/// An IngressClass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IngressClass {
    /// Who implements it.
    pub spec: IngressClassSpec,
    /// Name; the annotation that makes it the default.
    pub metadata: Meta,
}

/// `spec` of an IngressClass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct IngressClassSpec {
    /// `ingress-controllers.konghq.com/kong`
    pub controller: Box<str>,
}

impl IngressClass {
    /// Whether Ingresses without a class are its.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.metadata.annotation("ingressclass.kubernetes.io/is-default-class") == Some("true")
    }
}
