//! Versions known to work or to fail together: docs/compatibility.md as code; a test holds the two together.
use std::fmt;

/// What has a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The API server.
    Kubernetes,
    /// cert-manager's controller.
    CertManager,
    /// Kong Gateway.
    Kong,
    /// Kong's ingress controller.
    IngressController,
    /// Envoy.
    Envoy,
}

impl Part {
    /// As the page calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes",
            Self::CertManager => "cert-manager",
            Self::Kong => "Kong",
            Self::IngressController => "Kong ingress controller",
            Self::Envoy => "Envoy",
        }
    }

    /// What an image's name says it is.
    #[must_use]
    pub fn of_image(name: &str) -> Option<Self> {
        match name {
            "kong" | "kong-gateway" => Some(Self::Kong),
            "kubernetes-ingress-controller" => Some(Self::IngressController),
            "cert-manager-controller" => Some(Self::CertManager),
            _ if name == "envoy" || name.starts_with("envoy-") => Some(Self::Envoy),
            _ => None,
        }
    }
}

/// Major, minor, patch; without a patch the newest of that minor is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// From `v1.37.2`, `3.9.1-ubuntu`, `1.37.2+k3s1`, `3.9`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let numbers = text.split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|n| n.parse::<u32>().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        match numbers.next() {
            None => Some(Self(major, minor, u32::MAX)),
            Some(patch) => Some(Self(major, minor, patch?)),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        if *patch == u32::MAX { write!(f, "{major}.{minor}") } else { write!(f, "{major}.{minor}.{patch}") }
    }
}

/// From one version on, and before another.
pub type Span = (Version, Version);

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was seen to work.
    Works,
    /// It works with less, or was reported not to by others.
    Limited,
    /// It does not work.
    Fails,
}

impl Known {
    /// As the page says it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Limited => "with care",
            Self::Fails => "fails",
        }
    }
}

/// A row of the page.
#[derive(Debug)]
pub struct Row {
    /// Whose versions.
    pub part: Part,
    /// Which.
    pub versions: Span,
    /// Only together with these.
    pub with: Option<(Part, Span)>,
    /// What is known of them.
    pub known: Known,
    /// What was seen.
    pub what: &'static str,
    /// Where it is known from: a test of ours, a measurement, a public report.
    pub source: &'static str,
}

/// A minor release with all its patches.
const fn minor(major: u32, minor: u32) -> Span {
    (Version(major, minor, 0), Version(major, minor + 1, 0))
}

/// From one minor release on, and before another.
const fn minors(from: (u32, u32), before: (u32, u32)) -> Span {
    (Version(from.0, from.1, 0), Version(before.0, before.1, 0))
}

/// One release.
const fn only(major: u32, minor: u32, patch: u32) -> Span {
    (Version(major, minor, patch), Version(major, minor, patch + 1))
}

const NEWER: Version = Version(u32::MAX, 0, 0);

/// All rows.
pub const ROWS: &[Row] = &[
    Row {
        part: Part::Kubernetes,
        versions: minor(1, 37),
        with: None,
        known: Known::Works,
        what: "watches, ledgers, Lease, Events, eviction, in a real cluster",
        source: "tests/tests/cluster_*.rs (1.37.2)",
    },
    Row {
        part: Part::Kubernetes,
        versions: (Version(0, 0, 0), Version(1, 28, 0)),
        with: None,
        known: Known::Fails,
        what: "helm refuses to install the chart",
        source: "deploy/chart/Chart.yaml",
    },
    Row {
        part: Part::CertManager,
        versions: minor(1, 21),
        with: None,
        known: Known::Works,
        what: "issuing and storing are told, and what keeps them",
        source: "tests/tests/cluster_not_stored_is_told.rs, tests/demo (1.21.2)",
    },
    Row {
        part: Part::Kong,
        versions: (Version(0, 0, 0), Version(3, 4, 0)),
        with: None,
        known: Known::Limited,
        what: "has no Wasm: handshakes prove, the filter cannot run",
        source: "Kong's documentation: proxy-wasm came with 3.4",
    },
    Row {
        part: Part::Kong,
        versions: minors((3, 4), (3, 9)),
        with: None,
        known: Known::Limited,
        what: "runs the filter as a filter chain only; it was not run here",
        source: "Kong's documentation",
    },
    Row {
        part: Part::Kong,
        versions: minor(3, 9),
        with: None,
        known: Known::Works,
        what: "filter, tap, and what the filter meets there",
        source: "measured on 3.9.1; tests/tests/filter_meets_the_host_facts.rs holds the filter to it",
    },
    Row {
        part: Part::Kong,
        versions: minor(3, 10),
        with: None,
        known: Known::Limited,
        what: "runs the filter; it was not run here",
        source: "Kong's documentation: the last with Wasm",
    },
    Row {
        part: Part::Kong,
        versions: (Version(3, 11, 0), NEWER),
        with: None,
        known: Known::Limited,
        what: "has no Wasm: the filter cannot run, handshakes and the tap prove",
        source: "Kong's list of breaking changes of 3.11; the tap: tests/tests/tap_*.rs, in nginx",
    },
    Row {
        part: Part::IngressController,
        versions: only(3, 4, 12),
        with: Some((Part::Kong, minor(3, 9))),
        known: Known::Fails,
        what: "Kong refuses what it pushes; taken back in 3.4.13",
        source: "Kong/kubernetes-ingress-controller#7873",
    },
    Row {
        part: Part::IngressController,
        versions: only(3, 5, 5),
        with: Some((Part::Kong, minor(3, 9))),
        known: Known::Fails,
        what: "Kong refuses what it pushes; taken back in 3.5.6",
        source: "Kong/kubernetes-ingress-controller#7873",
    },
    Row {
        part: Part::IngressController,
        versions: minors((3, 0), (3, 4)),
        with: Some((Part::Kong, minors((3, 8), (3, 10)))),
        known: Known::Limited,
        what: "certificates were reported not to be loaded",
        source: "Kong/kong#14698",
    },
    Row {
        part: Part::IngressController,
        versions: (Version(3, 4, 0), NEWER),
        with: Some((Part::Kong, (Version(3, 10, 0), NEWER))),
        known: Known::Limited,
        what: "without a database every push with certificates was reported to be refused (400), with no Event; of which Kong is not said, with 3.9 it was measured to be taken",
        source: "Kong/kubernetes-ingress-controller#7831",
    },
    Row {
        part: Part::IngressController,
        versions: (Version(3, 5, 0), Version(3, 5, 2)),
        with: None,
        known: Known::Limited,
        what: "certificates of listeners are deleted and made again while pods roll",
        source: "Kong/kubernetes-ingress-controller#7660, #7666",
    },
    Row {
        part: Part::IngressController,
        versions: (Version(3, 5, 6), Version(3, 6, 0)),
        with: Some((Part::Kong, minor(3, 9))),
        known: Known::Works,
        what: "pushes, refused pushes, fallback, bindings",
        source: "measured on 3.5.13 with Kong 3.9.1; tests/kic behaves as it",
    },
    Row {
        part: Part::Envoy,
        versions: minor(1, 40),
        with: None,
        known: Known::Works,
        what: "filter, with what was declared; handshakes",
        source: "tests/tests/envoy_example_runs.rs, tests/tests/cluster_envoy_reads_its_ledger.rs (1.40.0)",
    },
];

fn within(version: Version, span: &Span) -> bool {
    span.0 <= version && version < span.1
}

/// The row that says most of a version beside these others: what fails before what has limits before what works.
#[must_use]
pub fn of(part: Part, version: Version, beside: &[(Part, Version)]) -> Option<&'static Row> {
    let holds = |row: &&Row| {
        row.part == part
            && within(version, &row.versions)
            && row.with.as_ref().is_none_or(|(other, span)| {
                beside.iter().any(|(part, version)| part == other && within(*version, span))
            })
    };
    let weight = |row: &&Row| match row.known {
        Known::Fails => 0,
        Known::Limited => 1,
        Known::Works => 2,
    };
    ROWS.iter().filter(holds).min_by_key(weight)
}

/// A span as the page writes it.
#[must_use]
pub fn span(span: &Span) -> String {
    let (from, before) = *span;
    let last = Version(before.0, before.1.saturating_sub(1), u32::MAX);
    match (from, before) {
        (_, NEWER) => format!("{} and later", short(from)),
        (Version(0, 0, 0), _) => format!("before {}", short(before)),
        (Version(a, b, 0), Version(c, d, 0)) if a == c && b + 1 == d => format!("{a}.{b}"),
        (Version(_, _, 0), Version(_, _, 0)) => format!("{} to {last}", short(from)),
        (Version(a, b, c), Version(d, e, f)) if (a, b, c + 1) == (d, e, f) => from.to_string(),
        (Version(a, b, _), Version(c, d, 0)) if a == c && b + 1 == d => format!("{a}.{b} from {from} on"),
        (_, Version(_, _, 0)) => format!("{from} to {last}"),
        (_, Version(a, b, c)) => format!("{from} to {}", Version(a, b, c.saturating_sub(1))),
    }
}

fn short(version: Version) -> String {
    match version {
        Version(major, minor, 0) => format!("{major}.{minor}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_images_and_servers_write_them() {
        for (text, version) in [
            ("v1.37.2", Version(1, 37, 2)),
            ("1.37.2+k3s1", Version(1, 37, 2)),
            ("3.9.1-ubuntu", Version(3, 9, 1)),
            ("3.10.0.2", Version(3, 10, 0)),
            ("3.9", Version(3, 9, u32::MAX)),
        ] {
            assert_eq!(Version::parse(text), Some(version), "{text}");
        }
        for text in ["latest", "sha256", "", "3", "3.x"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_pair_that_fails_is_known_beside_its_other_only() {
        let kic = Version(3, 5, 5);
        let of =
            |beside: &[(Part, Version)]| super::of(Part::IngressController, kic, beside).map(|row| row.known);
        assert_eq!(of(&[(Part::Kong, Version(3, 9, 1))]), Some(Known::Fails));
        assert_eq!(of(&[(Part::Kong, Version(3, 7, 1))]), None);
        assert_eq!(of(&[]), None);
        let known = |part, version| super::of(part, version, &[]).map(|row| row.known);
        assert_eq!(known(Part::Kong, Version(3, 11, 0)), Some(Known::Limited));
        assert_eq!(known(Part::Kong, Version(3, 9, 1)), Some(Known::Works));
        assert_eq!(known(Part::Kubernetes, Version(1, 20, 0)), Some(Known::Fails));
        assert_eq!(known(Part::Kubernetes, Version(1, 33, 0)), None);
    }

    #[test]
    fn every_row_of_the_table_is_on_the_page_and_none_beside() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compatibility.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        let (head, _) = page.split_once("| what |").unwrap_or((&page, ""));
        let mut text = format!(
            "{head}| what | versions | together with | | what was seen | source |\n|---|---|---|---|---|---|\n"
        );
        for row in ROWS {
            let with =
                row.with.as_ref().map(|(part, s)| format!("{} {}", part.name(), span(s))).unwrap_or_default();
            let Row { part, versions, known, what, source, .. } = row;
            text.push_str(&format!(
                "| {} | {} | {with} | {} | {what} | {source} |\n",
                part.name(),
                span(versions),
                known.word()
            ));
        }
        if std::env::var_os("CERTDRIFT_WRITE").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == text,
            "docs/compatibility.md is stale; write it with: CERTDRIFT_WRITE=1 cargo test -p certdrift"
        );
    }
}
