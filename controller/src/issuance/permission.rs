//! Whether cert-manager may write a Secret: SubjectAccessReviews, as they are asked and as they are answered.
use super::not_stored::Suspects;
use crate::cluster::ObjectName;
use crate::cluster::call::Call;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// How long one review may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A verb on Secrets that cert-manager uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Read one.
    Get,
    /// Read all.
    List,
    /// Follow them.
    Watch,
    /// Make one.
    Create,
    /// Write one as a whole.
    Update,
    /// Server-side apply: how the target Secret is written.
    Patch,
    /// The next key's Secret is deleted afterwards.
    Delete,
}

impl Verb {
    /// All that are asked for.
    pub const ALL: [Self; 7] =
        [Self::Get, Self::List, Self::Watch, Self::Create, Self::Update, Self::Patch, Self::Delete];

    /// As RBAC writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// A ServiceAccount as the authoriser knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount(pub ObjectName);

impl ServiceAccount {
    /// `system:serviceaccount:NAMESPACE:NAME`
    #[must_use]
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.0.namespace, self.0.name)
    }

    /// The review that asks whether it may do this to a Secret; to be created.
    #[must_use]
    pub fn review(&self, verb: Verb, secret: &ObjectName) -> Value {
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": self.user(),
                "groups": [
                    "system:serviceaccounts",
                    format!("system:serviceaccounts:{}", self.0.namespace),
                    "system:authenticated",
                ],
                "resourceAttributes": {
                    "namespace": secret.namespace,
                    "verb": verb.as_str(),
                    "group": "",
                    "version": "v1",
                    "resource": "secrets",
                    "name": secret.name,
                },
            },
        })
    }
}

/// A review with its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Review {
    /// The answer.
    pub status: ReviewStatus,
}

/// `status` of a review.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReviewStatus {
    /// It may.
    pub allowed: bool,
    /// The authoriser could not say; `allowed` then means nothing.
    pub evaluation_error: Option<Box<str>>,
}

/// Asks what the account may do to a Secret. Needs `create` on subjectaccessreviews.authorization.k8s.io.
pub async fn ask(client: &kube::Client, account: &ServiceAccount, secret: &ObjectName) -> Suspects {
    let mut reviews = Vec::new();
    for verb in Verb::ALL {
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned();
        let call = Call::json(http::Method::POST, path, &account.review(verb, secret));
        match call.send::<Review>(client, PATIENCE).await {
            Ok(review) => reviews.push((verb, review)),
            Err(refusal) => {
                tracing::warn!(secret = %secret, why = %refusal, "what cert-manager may do cannot be asked");
                return Suspects::Unknown;
            }
        }
    }
    Suspects::Lacks { user: account.user(), verbs: missing(&reviews) }
}

/// The verbs that are refused. A review that the authoriser could not evaluate says nothing.
#[must_use]
pub fn missing(reviews: &[(Verb, Review)]) -> Vec<Verb> {
    let mut verbs: Vec<Verb> = reviews
        .iter()
        .filter(|(_, review)| !review.status.allowed && review.status.evaluation_error.is_none())
        .map(|(verb, _)| *verb)
        .collect();
    verbs.sort_unstable();
    verbs.dedup();
    verbs
}
