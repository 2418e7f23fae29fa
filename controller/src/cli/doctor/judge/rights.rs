//! Checks of who may do what: certdrift, who installs it, cert-manager. Pure.
use super::super::facts::{Asked, Facts, Here, Looked};
use super::super::findings::{INSTALLER, NOT_STORABLE, RIGHT_MISSING};
use super::super::report::Outcome;
use crate::cli::output::count;
use crate::cluster::review::Right;
use crate::issuance::permission::Verb;
use std::collections::BTreeMap;

/// What is wanted of one kind in one place.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    namespace: Box<str>,
    kind: String,
    name: Option<Box<str>>,
}

impl Place {
    fn of(right: &Right) -> Self {
        Self { namespace: right.namespace.clone(), kind: right.kind(), name: right.name.clone() }
    }

    fn told(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        match &*self.namespace {
            "" => format!("{}{name}, in the whole cluster", self.kind),
            namespace => format!("{}{name} in {namespace}", self.kind),
        }
    }
}

/// The commands that grant verbs on a kind to somebody.
fn grant(place: &Place, verbs: &[&str], subject: &str) -> String {
    let Place { namespace, kind, name } = place;
    let role = format!("certdrift-{}-{}", verbs.join("-"), kind.replace('/', "-"));
    let only = name.as_ref().map(|name| format!(" --resource-name={name}")).unwrap_or_default();
    let (role_kind, binding, within) = match &**namespace {
        "" => ("clusterrole", "clusterrolebinding", String::new()),
        namespace => ("role", "rolebinding", format!(" -n {namespace}")),
    };
    let verbs = verbs.join(",");
    format!(
        "kubectl create {role_kind} {role}{within} --verb={verbs} --resource={kind}{only}\nkubectl create {binding} {role}{within} --{role_kind}={role} {subject}"
    )
}

/// By kind and place: which feature needs it, and the verbs that are missing.
type Lacks = BTreeMap<Place, (&'static str, Vec<&'static str>)>;

/// Those that are missing, by kind and place, each with who needs it; and what could not be told.
fn missing(asked: &[Asked]) -> (Lacks, Vec<Outcome>) {
    let mut lacks = Lacks::new();
    let mut untold: BTreeMap<&str, usize> = BTreeMap::new();
    for Asked { by, right, allowed } in asked {
        match allowed {
            Ok(true) => {}
            Ok(false) => lacks.entry(Place::of(right)).or_insert((by, Vec::new())).1.push(right.verb),
            Err(why) => *untold.entry(why).or_default() += 1,
        }
    }
    let untold = untold.into_iter().map(|(why, n)| {
        Outcome::unknown("", format!("of {} nothing was told: {why}", count(n, "right", "rights")), "")
    });
    (lacks, untold.collect())
}

fn account(here: &Here) -> String {
    match (&here.account, &here.user) {
        (Some(account), _) => format!("serviceaccount {account}"),
        (None, Some(user)) => format!("user {user}"),
        (None, None) => String::new(),
    }
}

/// certdrift may do what its configuration needs.
#[must_use]
pub fn ours(facts: &Facts) -> Vec<Outcome> {
    let here = &facts.here;
    let asked = match &facts.rights {
        Ok(asked) if asked.is_empty() => return Vec::new(),
        Ok(asked) => asked,
        Err(why) => {
            let mend = format!(
                "kubectl -n {} exec deploy/{} -- /certdrift doctor --config /etc/certdrift/config/certdrift.yaml --only rights",
                here.namespace,
                here.deployment.as_deref().unwrap_or("certdrift")
            );
            return vec![Outcome::unknown(account(here), why, mend)];
        }
    };
    let (lacks, mut out) = missing(asked);
    if lacks.is_empty() && out.is_empty() {
        let all = count(asked.len(), "right", "rights");
        return vec![Outcome::passed(format!(
            "{} has all {all} that the configuration needs",
            account(here)
        ))];
    }
    for (place, (by, verbs)) in lacks {
        let what = format!("may not {} {}", verbs.join(", "), place.told());
        let outcome =
            Outcome::failed(&RIGHT_MISSING, account(here), what, grant(&place, &verbs, &here.subject()));
        out.push(outcome.because(format!("needed by {by}")));
    }
    out
}

/// Who asks may install the chart.
#[must_use]
pub fn installer(facts: &Facts) -> Vec<Outcome> {
    let asked = match &facts.installer {
        Ok(asked) => asked,
        Err(why) => return vec![Outcome::unknown("", why, "")],
    };
    let user = facts.here.user.as_deref().map(|user| format!("user {user}")).unwrap_or_default();
    let (lacks, mut out) = missing(asked);
    if lacks.is_empty() && out.is_empty() {
        return vec![Outcome::passed(format!(
            "{user} may create what the chart has, and grant what its roles grant"
        ))];
    }
    for (place, (by, verbs)) in lacks {
        let what = format!("may not {} {}", verbs.join(", "), place.told());
        let mend = "as a cluster administrator: kubectl create clusterrolebinding certdrift-installer --clusterrole=cluster-admin --user=USER\nor let him create account and roles, and install with: --set serviceAccount.name=certdrift";
        let mend = mend.replace("USER", facts.here.user.as_deref().unwrap_or("USER"));
        out.push(Outcome::failed(&INSTALLER, user.clone(), what, mend).because(format!("needed by {by}")));
    }
    out
}

fn stored(out: &mut Vec<Outcome>, facts: &Facts, namespace: &str, missing: &Looked<Vec<Verb>>) -> bool {
    let account = facts.here.cert_manager();
    let object = format!("serviceaccount {account}");
    match missing {
        Ok(verbs) if verbs.is_empty() => return true,
        Ok(verbs) => {
            let verbs: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
            let place = Place { namespace: namespace.into(), kind: "secrets".to_owned(), name: None };
            let what = format!("may not {} {}", verbs.join(", "), place.told());
            let subject = format!("--serviceaccount={}:{}", account.namespace, account.name);
            let mend = grant(&place, &verbs, &subject)
                .replace(" certdrift-", " cert-manager-")
                .replace("=certdrift-", "=cert-manager-");
            out.push(Outcome::failed(&NOT_STORABLE, object, what, mend).because(
                "a renewal is signed and never stored; the Certificate stays Ready, and no Event says so",
            ));
        }
        Err(why) => {
            let mend = format!(
                "kubectl auth can-i patch secrets --as=system:serviceaccount:{}:{}{}",
                account.namespace,
                account.name,
                match namespace {
                    "" => " --all-namespaces".to_owned(),
                    namespace => format!(" -n {namespace}"),
                }
            );
            out.push(Outcome::unknown(object, why, mend));
        }
    }
    false
}

/// cert-manager may store what it has signed.
#[must_use]
pub fn storing(facts: &Facts) -> Vec<Outcome> {
    if facts.cert_manager_kinds.as_ref().is_ok_and(std::collections::BTreeSet::is_empty) {
        // Said already, by its kinds.
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut good = Vec::new();
    for (namespace, missing) in &facts.storing {
        if stored(&mut out, facts, namespace, missing) {
            good.push(if namespace.is_empty() { "all namespaces" } else { namespace });
        }
    }
    if out.is_empty() && !good.is_empty() {
        let account = facts.here.cert_manager();
        out.push(Outcome::passed(format!(
            "serviceaccount {account} may write Secrets in {}",
            good.join(", ")
        )));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::needs;
    use super::super::super::report::State;
    use super::super::tests::{facts, states};
    use super::*;

    fn asked(allowed: impl Fn(&Right) -> Looked<bool>) -> Vec<Asked> {
        let config = facts().here.config.unwrap();
        let ask = |(by, right): needs::Need| Asked { by, allowed: allowed(&right), right };
        needs::of(&config, "own").into_iter().map(ask).collect()
    }

    #[test]
    fn a_right_that_is_missing_is_named_with_the_commands_that_grant_it() {
        let all = Facts { rights: Ok(asked(|_| Ok(true))), ..facts() };
        assert_eq!(states(&ours(&all)), [State::Passed]);
        let lacks = |right: &Right| Ok(right.resource != "secrets");
        let lacking = Facts { rights: Ok(asked(lacks)), ..facts() };
        let [said] = &ours(&lacking)[..] else { panic!("{:#?}", ours(&lacking)) };
        assert_eq!(said.state, State::Failed);
        assert_eq!(said.what, "may not list, watch secrets in web");
        assert_eq!(
            said.mend,
            "kubectl create role certdrift-list-watch-secrets -n web --verb=list,watch --resource=secrets\nkubectl create rolebinding certdrift-list-watch-secrets -n web --role=certdrift-list-watch-secrets --serviceaccount=own:cd-certdrift"
        );
    }

    #[test]
    fn a_right_of_one_object_or_of_the_cluster_is_granted_there() {
        let lacking = Facts {
            rights: Ok(asked(|right| Ok(right.verb != "patch" && right.resource != "ingressclasses"))),
            ..facts()
        };
        let mends: Vec<String> = ours(&lacking).into_iter().map(|o| o.mend).collect();
        let has = |words: &str| assert!(mends.iter().any(|m| m.contains(words)), "{words}: {mends:#?}");
        has("--verb=patch --resource=configmaps --resource-name=certdrift-ledger-kong");
        has(
            "kubectl create clusterrole certdrift-list-watch-ingressclasses.networking.k8s.io --verb=list,watch --resource=ingressclasses.networking.k8s.io\n",
        );
        has("--verb=patch --resource=events.events.k8s.io");
    }

    #[test]
    fn rights_that_could_not_be_asked_for_are_not_there() {
        let untold = Facts { rights: Ok(asked(|_| Err("forbidden".to_owned()))), ..facts() };
        assert_eq!(states(&ours(&untold)), [State::Unknown]);
        let nobody = Facts { rights: Err("the account is not known".to_owned()), ..facts() };
        assert_eq!(states(&ours(&nobody)), [State::Unknown]);
        assert!(ours(&nobody)[0].mend.contains("-n own exec deploy/cd-certdrift"));
    }

    #[test]
    fn who_may_not_create_a_cluster_role_cannot_install() {
        let ask = |allowed: bool| {
            needs::to_install(None, "own")
                .into_iter()
                .map(|(by, right)| Asked {
                    by,
                    allowed: Ok(allowed || right.resource != "clusterroles"),
                    right,
                })
                .collect()
        };
        assert_eq!(states(&installer(&Facts { installer: Ok(ask(true)), ..facts() })), [State::Passed]);
        let lacking = Facts { installer: Ok(ask(false)), ..facts() };
        let [said] = &installer(&lacking)[..] else { panic!() };
        assert!(
            said.what.contains("create clusterroles.rbac.authorization.k8s.io")
                && said.mend.contains("alice")
        );
    }

    #[test]
    fn a_verb_that_cert_manager_lacks_is_named_with_its_namespace() {
        let kinds = || Ok(["certificates".to_owned()].into());
        let with = |missing: Looked<Vec<Verb>>| Facts {
            storing: [("web".to_owned(), missing)].into(),
            cert_manager_kinds: kinds(),
            ..facts()
        };
        assert_eq!(states(&storing(&with(Ok(Vec::new())))), [State::Passed]);
        let [said] = &storing(&with(Ok(vec![Verb::Patch])))[..] else { panic!() };
        assert_eq!((said.state, said.code), (State::Failed, Some("CD-543")));
        assert_eq!(said.what, "may not patch secrets in web");
        assert!(
            said.mend.contains(
                "kubectl create role cert-manager-patch-secrets -n web --verb=patch --resource=secrets\n"
            ),
            "{}",
            said.mend
        );
        assert!(
            said.mend
                .contains("--role=cert-manager-patch-secrets --serviceaccount=cert-manager:cert-manager")
        );
        assert_eq!(states(&storing(&with(Err("forbidden".to_owned())))), [State::Unknown]);
    }
}
