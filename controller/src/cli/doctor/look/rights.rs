//! Asks who may do what, some questions at a time.
use super::super::facts::{Asked, Here, Looked};
use super::super::needs::{self, Need};
use super::get;
use crate::cluster::Meta;
use crate::cluster::review::{Right, Who, may};
use crate::cluster::workload::List;
use crate::config::kubernetes::Reach;
use crate::issuance::permission::Verb;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// So many questions are under way at a time.
const AT_A_TIME: usize = 8;
/// In more namespaces than this cert-manager is not asked for one by one.
const MOST_NAMESPACES: usize = 50;

async fn each(client: &kube::Client, who: &Who, needs: Vec<Need>) -> Vec<Asked> {
    let ask = |(by, right): Need| async move {
        let allowed = may(client, who, &right).await;
        Asked { by, right, allowed }
    };
    stream::iter(needs).map(ask).buffered(AT_A_TIME).collect().await
}

/// What certdrift's account may do of what its configuration needs.
pub(super) async fn ours(client: &kube::Client, here: &Here) -> Looked<Vec<Asked>> {
    let Some(config) = &here.config else {
        let why = here.unread.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        return Err(format!("its configuration is not known (name it with --config){why}"));
    };
    let user = here.account.as_ref().map(|a| format!("system:serviceaccount:{}:{}", a.namespace, a.name));
    let who = match (&here.account, &here.user) {
        (Some(account), us) if *us != user => Who::Account(account.clone()),
        _ => Who::Ourselves,
    };
    let asked = each(client, &who, needs::of(config, &here.namespace)).await;
    match (&who, asked.iter().all(|asked| asked.allowed.is_err()), asked.first()) {
        (Who::Account(_), true, Some(Asked { allowed: Err(why), .. })) => Err(why.clone()),
        _ => Ok(asked),
    }
}

/// What who asks may do of what an installation takes.
pub(super) async fn installer(client: &kube::Client, here: &Here) -> Looked<Vec<Asked>> {
    let config = here.config.as_ref();
    let mut wanted = needs::to_install(config, &here.namespace);
    let grants = each(client, &Who::Ourselves, needs::granting()).await;
    if !grants.iter().all(|asked| asked.allowed == Ok(true)) {
        // Nobody grants what he has not himself.
        wanted.extend(config.map(|config| needs::of(config, &here.namespace)).unwrap_or_default());
    }
    Ok(each(client, &Who::Ourselves, wanted).await)
}

/// Which verbs on Secrets cert-manager lacks, by namespace.
pub(super) async fn storing(client: &kube::Client, here: &Here) -> BTreeMap<String, Looked<Vec<Verb>>> {
    let kubernetes = here.kubernetes();
    let places = match kubernetes.reach {
        Reach::Namespaces => kubernetes.namespaces,
        Reach::Cluster | Reach::Keyless => vec![String::new()],
    };
    let who = Who::Account(here.cert_manager());
    let mut all = BTreeMap::new();
    for namespace in places {
        let missing = lacks(client, &who, &namespace).await;
        if namespace.is_empty()
            && missing.as_ref().is_ok_and(|verbs| !verbs.is_empty())
            && let Some(namespaces) = with_certificates(client).await
        {
            // It need not have all of the cluster, only what has Certificates.
            for namespace in namespaces {
                let missing = lacks(client, &who, &namespace).await;
                all.insert(namespace, missing);
            }
            continue;
        }
        all.insert(namespace, missing);
    }
    all
}

/// The namespaces that have a Certificate; none where there is none, they may not be listed, or they are very many.
async fn with_certificates(client: &kube::Client) -> Option<BTreeSet<String>> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named {
        metadata: Meta,
    }
    let all: Option<List<Named>> =
        get(client, "/apis/cert-manager.io/v1/certificates".to_owned()).await.ok()?;
    let names: BTreeSet<String> = all?.items.into_iter().map(|c| c.metadata.namespace.to_string()).collect();
    (1..=MOST_NAMESPACES).contains(&names.len()).then_some(names)
}

async fn lacks(client: &kube::Client, who: &Who, namespace: &str) -> Looked<Vec<Verb>> {
    let mut missing = Vec::new();
    for verb in Verb::ALL {
        let right = Right {
            namespace: namespace.into(),
            group: "",
            resource: "secrets",
            name: None,
            verb: verb.as_str(),
        };
        if !may(client, who, &right).await? {
            missing.push(verb);
        }
    }
    Ok(missing)
}
