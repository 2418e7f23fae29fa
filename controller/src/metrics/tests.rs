use super::*;
use catalogue as is;
use std::collections::HashSet;

fn filled() -> (Store, Gauges) {
    let mut store = Store::new(["kong"]);
    store.add(&is::PUBLISHES, &["kong", "written"], 2);
    store.observe(&is::HOP, &["kong", "served"], 0.03);
    store.observe(&is::HOP, &["kong", "served"], 1e9);
    let mut gauges = Gauges::default();
    gauges.set(&is::BUILD, &["1.0"], 1.0);
    gauges.set(&is::DRIFT, &["kong", "a", "we\"ird\\\n", "previous"], 1_795_478_400.0);
    (store, gauges)
}

#[test]
fn names_follow_the_conventions() {
    let mut names = HashSet::new();
    for metric in ALL {
        assert!(names.insert(metric.name), "{} twice", metric.name);
        assert!(
            metric.name.starts_with("certdrift_") || metric.name.starts_with("process_"),
            "{}",
            metric.name
        );
        assert!(!metric.name.ends_with("_total") && !metric.help.is_empty() && !metric.when.is_empty());
        assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '\\', '"']), "{}", metric.help);
        if let Kind::Histogram(bounds) = metric.kind {
            assert!(bounds.windows(2).all(|b| b[0] < b[1]));
        }
    }
}

#[test]
fn the_classic_page_names_a_counter_by_its_samples_and_has_no_eof() {
    let (store, gauges) = filled();
    let text = encode::page(&store, &gauges, Some(1.5), Format::Classic);
    assert!(text.contains("# TYPE certdrift_ledger_publishes_total counter\n"));
    assert!(text.contains("certdrift_ledger_publishes_total{gateway=\"kong\",result=\"written\"} 2\n"));
    assert!(text.contains("certdrift_ledger_publishes_total{gateway=\"kong\",result=\"failed\"} 0\n"));
    assert!(text.contains("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.5\n"));
    assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
}

#[test]
fn the_openmetrics_page_names_a_counter_without_total_and_ends() {
    let (store, gauges) = filled();
    let text = encode::page(&store, &gauges, Some(1.5), Format::OpenMetrics);
    assert!(text.contains("# TYPE certdrift_ledger_publishes counter\n"));
    assert!(text.contains("certdrift_ledger_publishes_total{gateway=\"kong\",result=\"written\"} 2\n"));
    assert!(text.contains("# UNIT certdrift_hop_seconds seconds\n"));
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_histogram_is_cumulative_and_closed_by_infinity() {
    let (store, gauges) = filled();
    let text = encode::page(&store, &gauges, None, Format::Classic);
    let labels = "gateway=\"kong\",hop=\"served\"";
    assert!(text.contains(&format!("certdrift_hop_seconds_bucket{{{labels},le=\"0.025\"}} 0\n")), "{text}");
    assert!(text.contains(&format!("certdrift_hop_seconds_bucket{{{labels},le=\"0.05\"}} 1\n")));
    assert!(text.contains(&format!("certdrift_hop_seconds_bucket{{{labels},le=\"86400.0\"}} 1\n")));
    assert!(text.contains(&format!("certdrift_hop_seconds_bucket{{{labels},le=\"+Inf\"}} 2\n")));
    assert!(text.contains(&format!("certdrift_hop_seconds_count{{{labels}}} 2\n")));
}

#[test]
fn label_values_are_escaped() {
    let (store, gauges) = filled();
    let text = encode::page(&store, &gauges, None, Format::Classic);
    assert!(text.contains(r#"host="we\"ird\\\n",class="previous"} 1795478400"#), "{text}");
}

#[test]
fn openmetrics_only_when_it_is_asked_for() {
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.2";
    assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
    for classic in ["", "*/*", "text/plain;version=0.0.4", "text/html,application/xml;q=0.9,*/*;q=0.8"] {
        assert_eq!(Format::accepted(classic), Format::Classic, "{classic}");
    }
    assert_eq!(
        Format::accepted("application/openmetrics-text;version=2.0.0;q=0.9,*/*;q=0.1"),
        Format::Classic
    );
    assert_eq!(Format::accepted("application/openmetrics-text;q=0.3,text/plain;q=0.7"), Format::Classic);
    assert_eq!(Format::accepted("application/openmetrics-text;q=0"), Format::Classic);
}

#[test]
fn the_reference_is_what_the_catalogue_says() {
    crate::config::tests::kept("docs/metrics.md", &markdown());
}
