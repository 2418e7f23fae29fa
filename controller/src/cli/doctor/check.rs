//! The checks there are: name, category, what each looks at; and which of them are wanted.
use super::facts::Facts;
use super::judge::{answers, bindings, cluster, gateway, own, plugins, rights, versions};
use super::report::Outcome;
use crate::finding::Finding;
use crate::observe::findings::CHECK_USAGE;
use serde::Serialize;

/// What checks are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// The API server and what is installed.
    Cluster,
    /// Who may do what.
    Permissions,
    /// Versions that work together.
    Versions,
    /// The gateways' pods.
    Gateway,
    /// What binds certificates to hosts.
    Bindings,
    /// certdrift's own objects.
    Certdrift,
}

impl Category {
    /// In the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Cluster, Self::Permissions, Self::Versions, Self::Gateway, Self::Bindings, Self::Certdrift];

    /// Its name, for `--only` and `--skip`, and its heading.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Permissions => "permissions",
            Self::Versions => "versions",
            Self::Gateway => "gateway",
            Self::Bindings => "bindings",
            Self::Certdrift => "certdrift",
        }
    }
}

/// What has to be asked for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// Version and time.
    Server,
    /// Which kinds there are.
    Kinds,
    /// What certdrift may do.
    Rights,
    /// What who asks may create and grant.
    Installer,
    /// What cert-manager may do.
    Storing,
    /// cert-manager's own pods.
    CertManager,
    /// certdrift's Deployment.
    Deployment,
    /// Its Lease.
    Lease,
    /// The ledgers' ConfigMaps.
    Ledgers,
    /// The gateways' pods, as the API server has them.
    Pods,
    /// Which Secrets beside them a Certificate keeps.
    Renewed,
    /// What they answer.
    Answers,
    /// What the controller's rules say of bindings.
    Bindings,
    /// Plugins of Kong's ingress controller.
    Plugins,
}

/// When a check can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before an installation too.
    Always,
    /// Before only.
    Before,
    /// Afterwards only.
    After,
}

/// A check.
#[derive(Debug)]
pub struct Check {
    /// Stable: scripts name it.
    pub name: &'static str,
    /// What it is about.
    pub category: Category,
    /// When it can be made.
    pub when: When,
    /// What has to be asked for it.
    pub asks: &'static [Ask],
    /// From the facts to what came of it: one outcome for each thing that is wrong, one when all is well, none when it does
    /// not concern this installation.
    pub judge: fn(&Facts) -> Vec<Outcome>,
}

const fn check(
    name: &'static str,
    category: Category,
    when: When,
    asks: &'static [Ask],
    judge: fn(&Facts) -> Vec<Outcome>,
) -> Check {
    Check { name, category, when, asks, judge }
}

/// All checks, in the order in which they are made and shown.
pub const CHECKS: &[Check] = &[
    check("api-server", Category::Cluster, When::Always, &[Ask::Server], cluster::api_server),
    check("clock", Category::Cluster, When::Always, &[Ask::Server], cluster::clock),
    check("cert-manager-kinds", Category::Cluster, When::Always, &[Ask::Kinds], cluster::cert_manager_kinds),
    check("gateway-api-kinds", Category::Cluster, When::Always, &[Ask::Kinds], cluster::gateway_api_kinds),
    check(
        "cert-manager",
        Category::Cluster,
        When::Always,
        &[Ask::CertManager, Ask::Kinds],
        cluster::cert_manager,
    ),
    check("install-rights", Category::Permissions, When::Before, &[Ask::Installer], rights::installer),
    check("rights", Category::Permissions, When::After, &[Ask::Rights], rights::ours),
    check(
        "cert-manager-rights",
        Category::Permissions,
        When::Always,
        &[Ask::Storing, Ask::Kinds],
        rights::storing,
    ),
    check("version-kubernetes", Category::Versions, When::Always, &[Ask::Server], versions::kubernetes),
    check(
        "version-cert-manager",
        Category::Versions,
        When::Always,
        &[Ask::CertManager, Ask::Kinds],
        versions::cert_manager,
    ),
    check("version-gateway", Category::Versions, When::Always, &[Ask::Pods], versions::gateways),
    check("pods", Category::Gateway, When::Always, &[Ask::Bindings, Ask::Pods], bindings::pods),
    check("wasm", Category::Gateway, When::Always, &[Ask::Pods], gateway::wasm),
    check("tap-include", Category::Gateway, When::Always, &[Ask::Pods], gateway::tap),
    check("status", Category::Gateway, When::Always, &[Ask::Answers], answers::status),
    check("filter", Category::Gateway, When::Always, &[Ask::Answers], answers::filter),
    check("tap-report", Category::Gateway, When::Always, &[Ask::Answers], answers::tap),
    check("probes", Category::Gateway, When::Always, &[Ask::Pods], gateway::probes),
    check("allow", Category::Gateway, When::Always, &[Ask::Plugins], plugins::allow),
    check("metrics", Category::Gateway, When::Always, &[Ask::Plugins], plugins::metrics),
    check(
        "default-certificate",
        Category::Gateway,
        When::Always,
        &[Ask::Pods, Ask::Renewed],
        gateway::default_certificate,
    ),
    check("skipped-bindings", Category::Bindings, When::Always, &[Ask::Bindings], bindings::bindings),
    check("deployment", Category::Certdrift, When::After, &[Ask::Deployment], own::deployment),
    check("lease", Category::Certdrift, When::After, &[Ask::Lease], own::lease),
    check("ledgers", Category::Certdrift, When::After, &[Ask::Ledgers], own::ledgers),
];

/// Which checks are wanted.
///
/// # Errors
/// A name is none of a check or a category; the finding lists all.
pub fn wanted(pre: bool, only: &[String], skip: &[String]) -> Result<Vec<&'static Check>, Finding> {
    let is_one = |name: &String| {
        CHECKS.iter().any(|check| check.name == name) || Category::ALL.iter().any(|c| c.name() == name)
    };
    for (flag, names) in [("--only", only), ("--skip", skip)] {
        if let Some(unknown) = names.iter().find(|name| !is_one(name)) {
            let mut finding =
                CHECK_USAGE.on(format!("{flag} {unknown}"), "no check and no category has this name");
            finding.mend = format!("name one of: {}", names_of_all());
            return Err(finding);
        }
    }
    let named = |names: &[String], check: &Check| {
        names.iter().any(|name| name == check.name || name == check.category.name())
    };
    Ok(CHECKS
        .iter()
        .filter(|check| match check.when {
            When::Always => true,
            When::Before => pre,
            When::After => !pre,
        })
        .filter(|check| (only.is_empty() || named(only, check)) && !named(skip, check))
        .collect())
}

/// All categories with their checks, for help and errors.
#[must_use]
pub fn names_of_all() -> String {
    let category = |category: &Category| {
        let names: Vec<&str> = CHECKS.iter().filter(|c| c.category == *category).map(|c| c.name).collect();
        format!("{} ({})", category.name(), names.join(", "))
    };
    Category::ALL.iter().map(category).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn named(pre: bool, only: &[&str], skip: &[&str]) -> Vec<&'static str> {
        let all = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        wanted(pre, &all(only), &all(skip)).unwrap().iter().map(|c| c.name).collect()
    }

    #[test]
    fn checks_are_chosen_by_name_or_category_and_left_out_likewise() {
        assert_eq!(named(false, &["clock", "certdrift"], &["lease"]), ["clock", "deployment", "ledgers"]);
        assert!(!named(true, &[], &[]).contains(&"deployment"), "nothing is installed yet");
        assert!(named(true, &[], &[]).contains(&"install-rights"));
        assert!(!named(false, &[], &[]).contains(&"install-rights"));
    }

    #[test]
    fn an_unknown_name_is_answered_with_all_that_there_are() {
        let finding = wanted(false, &["clocks".to_owned()], &[]).unwrap_err();
        assert!(finding.object.contains("--only clocks"), "{finding}");
        for check in CHECKS {
            assert!(finding.mend.contains(check.name), "{finding}");
        }
    }

    #[test]
    fn no_name_is_there_twice_and_every_category_has_a_check() {
        let names: BTreeSet<&str> =
            CHECKS.iter().map(|c| c.name).chain(Category::ALL.map(Category::name)).collect();
        assert_eq!(names.len(), CHECKS.len() + Category::ALL.len());
        let order: Vec<Category> = CHECKS.iter().map(|c| c.category).collect();
        assert!(order.is_sorted(), "a category stands together");
        assert_eq!(order.into_iter().collect::<BTreeSet<_>>().len(), Category::ALL.len());
    }
}
