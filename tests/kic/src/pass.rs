//! One pass of the loop: list, translate, ask every gateway for its status, push.
use crate::event::Events;
use crate::fault::{Faults, Shared};
use crate::gateway::{Gateway, PATIENCE};
use crate::translate::{Configuration, tags, translate};
use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Secret};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const REFUSED: &str = "KongConfigurationApplyFailed";

/// What it is told in its environment.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `--ingress-class`
    pub(crate) class: String,
    /// Label selector of the gateways' pods, which are in its own namespace.
    pub(crate) gateways: String,
    pub(crate) namespace: String,
    /// Its own pod.
    pub(crate) pod: String,
    /// `--watch-namespace`; all when absent.
    pub(crate) watched: Option<String>,
}

/// The controller, between passes.
pub(crate) struct Controller {
    client: Client,
    settings: Settings,
    shared: Arc<Shared>,
    events: Events,
    /// What each pod has taken, by name and address.
    taken: BTreeMap<(String, std::net::IpAddr), String>,
    /// Pods that could not be reached the last time: that is said once.
    unreachable: BTreeSet<String>,
    /// Each Secret as it was heard of last.
    known: BTreeMap<String, Secret>,
    /// What the objects were at the last pass that went well.
    snapshot: Option<String>,
}

impl Controller {
    pub(crate) fn new(client: Client, settings: Settings, shared: Arc<Shared>) -> Self {
        let (events, taken) = (Events::default(), BTreeMap::new());
        Self {
            client,
            settings,
            shared,
            events,
            taken,
            unreachable: BTreeSet::new(),
            known: BTreeMap::new(),
            snapshot: None,
        }
    }

    /// One pass.
    pub(crate) async fn pass(&mut self) -> Result<()> {
        let faults = self.shared.faults().clone();
        let all = ListParams::default();
        let ingresses = self.api::<Ingress>().list(&all).await.context("Ingresses")?.items;
        let of_tls = ListParams::default().fields("type=kubernetes.io/tls");
        let secrets = self.api::<Secret>().list(&of_tls).await.context("Secrets")?.items;
        let secrets: Vec<Secret> = secrets.into_iter().map(|secret| self.heard(secret, &faults)).collect();
        let versions = ingresses.iter().map(kube::ResourceExt::resource_version);
        let snapshot = format!(
            "{:?} {:?} {:?}",
            versions.collect::<Vec<_>>(),
            secrets.iter().map(kube::ResourceExt::resource_version).collect::<Vec<_>>(),
            faults.reject
        );
        if faults.fallback && self.snapshot.as_ref() == Some(&snapshot) {
            // Nobody looks at the gateways then, not even at the zeros of one that has just started.
            self.shared.metrics().skipped += 1;
            return Ok(());
        }
        let configuration =
            translate(&self.settings.class, ingresses.clone(), &secrets, faults.reject.as_deref());
        self.shared.metrics().untranslated = configuration.failures.len();
        for failure in &configuration.failures {
            for object in &failure.objects {
                self.say(object, "Warning", "KongConfigurationTranslationFailed", &failure.message).await;
            }
        }
        let without = configuration.broken.as_ref().filter(|_| faults.fallback).map(|broken| {
            let sound = ingresses.into_iter().filter(|ingress| ingress.uid() != broken.uid).collect();
            translate(&self.settings.class, sound, &secrets, None)
        });
        let went_well = self.push_to_all(&faults, &configuration, without.as_ref()).await?;
        self.snapshot = went_well.then_some(snapshot);
        Ok(())
    }

    /// The Secret as it is known to be.
    fn heard(&mut self, secret: Secret, faults: &Faults) -> Secret {
        let name = format!("{}/{}", secret.namespace().unwrap_or_default(), secret.name_any());
        let known = self.known.get(&name).filter(|known| tags(*known) == tags(&secret));
        if let Some(known) = known.filter(|_| faults.deaf.contains(&name)) {
            return known.clone();
        }
        self.known.insert(name, secret.clone());
        secret
    }

    /// Whether each gateway has all of it, or all of it that is sound.
    async fn push_to_all(
        &mut self,
        faults: &Faults,
        configuration: &Configuration,
        without: Option<&Configuration>,
    ) -> Result<bool> {
        let gateways = self.gateways().await?;
        self.taken
            .retain(|(name, address), _| gateways.iter().any(|g| g.name == *name && g.address == *address));
        // Every pod is asked first, and the loop waits for the answer: one that hangs delays all others.
        let mut due = Vec::new();
        let mut went_well = true;
        for gateway in gateways {
            let asked = if faults.hang.as_ref() == Some(&gateway.name) {
                tokio::time::sleep(PATIENCE).await;
                Err(anyhow::anyhow!("no answer in {PATIENCE:?}"))
            } else if faults.miss.contains(&gateway.name) {
                Err(anyhow::anyhow!("connection refused"))
            } else {
                gateway.is_empty().await
            };
            match asked {
                Ok(empty) => {
                    self.unreachable.remove(&gateway.name);
                    due.push((gateway, empty));
                }
                Err(error) => {
                    went_well = false;
                    if self.unreachable.insert(gateway.name.clone()) {
                        self.say_failed(&gateway, &format!("{error:#}")).await;
                    }
                }
            }
        }
        let text = configuration.text();
        let fallback = without.map(Configuration::text);
        for (gateway, empty) in due {
            let key = (gateway.name.clone(), gateway.address);
            let has = self.taken.get(&key);
            if !empty && (has == Some(&text) || (has.is_some() && has == fallback.as_ref())) {
                continue;
            }
            tokio::time::sleep(Duration::from_secs(faults.lag)).await;
            let mut taken =
                self.push(&gateway, &text, configuration.broken.as_ref(), false).await?.then_some(&text);
            if let (None, Some(fallback)) = (taken, &fallback) {
                taken = self.push(&gateway, fallback, None, true).await?.then_some(fallback);
            }
            match taken {
                Some(text) => {
                    self.taken.insert(key, text.clone());
                }
                None => went_well = false,
            }
        }
        Ok(went_well)
    }

    /// Pushes to one; false when it is refused or lost.
    async fn push(
        &mut self,
        gateway: &Gateway,
        text: &str,
        broken: Option<&ObjectReference>,
        fallback: bool,
    ) -> Result<bool> {
        let refused = match gateway.push(text).await {
            Ok(Ok(())) => None,
            Ok(Err(refused)) => Some(refused),
            Err(error) => {
                self.say_failed(gateway, &format!("{error:#}")).await;
                return Ok(false);
            }
        };
        self.shared.metrics().pushed(&gateway.url(), refused.is_none(), fallback);
        println!("pushed to {} ({}): {}", gateway.name, gateway.url(), refused.as_deref().unwrap_or("ok"));
        let itself = self.itself();
        if let Some(refused) = &refused {
            self.say_failed(gateway, refused).await;
            if let Some(broken) = broken {
                let message = "invalid config.minute: value must be greater than 0";
                self.say(&plugin_of(broken), "Warning", REFUSED, message).await;
            }
        } else if fallback {
            let message = format!("successfully applied fallback Kong configuration to {}", gateway.url());
            self.say(&itself, "Normal", "FallbackKongConfigurationSucceeded", &message).await;
        } else {
            let message = format!("successfully applied Kong configuration to {}", gateway.url());
            self.say(&itself, "Normal", "KongConfigurationSucceeded", &message).await;
        }
        Ok(refused.is_none())
    }

    async fn gateways(&self) -> Result<Vec<Gateway>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.settings.namespace);
        let pods = pods.list(&ListParams::default().labels(&self.settings.gateways)).await.context("Pods")?;
        let live = pods.items.into_iter().filter(|pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            pod.metadata.deletion_timestamp.is_none() && phase == Some("Running")
        });
        Ok(live
            .filter_map(|pod| {
                let address = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
                Some(Gateway { name: pod.name_any(), address })
            })
            .collect())
    }

    async fn say_failed(&mut self, gateway: &Gateway, why: &str) {
        println!("error: {} ({}): {why}", gateway.name, gateway.url());
        let message = format!("failed to apply Kong configuration to {}: {why}", gateway.url());
        let itself = self.itself();
        self.say(&itself, "Warning", REFUSED, &message).await;
    }

    async fn say(&mut self, on: &ObjectReference, kind: &str, reason: &str, message: &str) {
        self.events.post(&self.client, on, kind, reason, message).await;
    }

    fn itself(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(self.settings.namespace.clone()),
            name: Some(self.settings.pod.clone()),
            ..ObjectReference::default()
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.settings.watched {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }
}

/// The plugin of an Ingress that is to blame; it is not there, and its Event says all that is known of it.
fn plugin_of(ingress: &ObjectReference) -> ObjectReference {
    ObjectReference {
        api_version: Some("configuration.konghq.com/v1".to_owned()),
        kind: Some("KongPlugin".to_owned()),
        namespace: ingress.namespace.clone(),
        name: ingress.name.as_ref().map(|name| format!("{name}-limits")),
        ..ObjectReference::default()
    }
}
