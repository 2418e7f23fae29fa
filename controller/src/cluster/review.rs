//! What somebody may do: a right, and the question to the API server whether somebody has it.
//!
//! Everybody who is let in may ask about themselves (SelfSubjectAccessReview, SelfSubjectReview); about others only who may
//! create SubjectAccessReviews.
use super::ObjectName;
use super::call::{Call, Refusal};
use crate::issuance::permission::{Review, ServiceAccount};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// One verb on one kind, somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    /// Where; empty: in all namespaces, or of a kind that is in none.
    pub namespace: Box<str>,
    /// Empty for the core group.
    pub group: &'static str,
    /// Plural; with the subresource, as in `pods/eviction`.
    pub resource: &'static str,
    /// Of one object only.
    pub name: Option<Box<str>>,
    /// `list`
    pub verb: &'static str,
}

impl Right {
    /// Its attributes, as a review asks.
    fn attributes(&self) -> Value {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((self.resource, ""));
        json!({"namespace": self.namespace, "verb": self.verb, "group": self.group, "version": "*", "resource": resource,
            "subresource": subresource, "name": self.name})
    }

    /// `ingresses.networking.k8s.io`, as kubectl takes it.
    #[must_use]
    pub fn kind(&self) -> String {
        match (self.group, self.resource.split_once('/')) {
            ("", _) => self.resource.to_owned(),
            (group, Some((resource, sub))) => format!("{resource}.{group}/{sub}"),
            (group, None) => format!("{}.{group}", self.resource),
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.kind())?;
        if self.namespace.is_empty() { Ok(()) } else { write!(f, " in {}", self.namespace) }
    }
}

/// Whose rights are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Those of whoever asks.
    Ourselves,
    /// Those of a ServiceAccount.
    Account(ObjectName),
}

impl Who {
    fn review(&self, right: &Right) -> (&'static str, Value) {
        let (kind, plural, spec) = match self {
            Self::Ourselves => (
                "SelfSubjectAccessReview",
                "selfsubjectaccessreviews",
                json!({"resourceAttributes": right.attributes()}),
            ),
            Self::Account(name) => {
                let groups = [
                    "system:serviceaccounts".to_owned(),
                    format!("system:serviceaccounts:{}", name.namespace),
                    "system:authenticated".to_owned(),
                ];
                let user = ServiceAccount(name.clone()).user();
                let spec = json!({"user": user, "groups": groups, "resourceAttributes": right.attributes()});
                ("SubjectAccessReview", "subjectaccessreviews", spec)
            }
        };
        (plural, json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}))
    }
}

/// Asks whether somebody has a right.
///
/// # Errors
/// The server does not say: in words.
pub async fn may(client: &kube::Client, who: &Who, right: &Right) -> Result<bool, String> {
    let (plural, review) = who.review(right);
    let call = Call::json(Method::POST, format!("/apis/authorization.k8s.io/v1/{plural}"), &review);
    let said: Review = call.send(client, PATIENCE).await.map_err(|refusal| refusal.to_string())?;
    match said.status.evaluation_error {
        Some(why) if !said.status.allowed => Err(format!("the authoriser could not tell: {why}")),
        _ => Ok(said.status.allowed),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SelfReview {
    status: SelfStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SelfStatus {
    user_info: UserInfo,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserInfo {
    username: String,
}

/// As whom the API server knows us (SelfSubjectReview, Kubernetes 1.28 and later).
///
/// # Errors
/// It does not say.
pub async fn whoami(client: &kube::Client) -> Result<String, Refusal> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews".to_owned();
    let said: SelfReview = Call::json(Method::POST, path, &review).send(client, PATIENCE).await?;
    Ok(said.status.user_info.username)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subresource_and_a_group_are_asked_for_and_told_as_kubectl_does() {
        let right = |group, resource| Right {
            namespace: "kong".into(),
            group,
            resource,
            name: Some("a".into()),
            verb: "create",
        };
        let eviction = right("", "pods/eviction");
        assert_eq!(eviction.to_string(), "create pods/eviction in kong");
        let (plural, review) = Who::Account(ObjectName::new("own", "certdrift")).review(&eviction);
        assert_eq!(plural, "subjectaccessreviews");
        assert_eq!(review["spec"]["user"], "system:serviceaccount:own:certdrift");
        let attributes = &review["spec"]["resourceAttributes"];
        assert_eq!(
            (&attributes["resource"], &attributes["subresource"]),
            (&json!("pods"), &json!("eviction"))
        );
        assert_eq!(right("apps", "deployments/scale").kind(), "deployments.apps/scale");
        let (plural, review) = Who::Ourselves.review(&right("networking.k8s.io", "ingresses"));
        assert_eq!((plural, review["spec"]["user"].is_null()), ("selfsubjectaccessreviews", true));
    }
}
