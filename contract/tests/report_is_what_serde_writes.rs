//! The report's own writer and serde agree, byte for byte and both ways.
#![cfg(not(target_arch = "wasm32"))]

use certdrift_contract::report::{Counters, HostReport, LedgerInUse, Report, Worker};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z.*-]{1,20}",
        any::<String>(),
        Just("\u{0}\u{1f}\"\\/\n\r\t\u{8}\u{c}\u{7f}é😀".to_owned())
    ]
}

prop_compose! {
    fn observation()(
        host in text(), verdict in text(), class in proptest::option::of(text()), served in proptest::option::of(text()),
        expected in proptest::collection::vec(text(), 0..3), evidence in text(), times in any::<[i64; 3]>(),
    ) -> HostReport {
        let [first_seen, last_seen, began] = times;
        HostReport { host, verdict, class, served, expected, evidence, first_seen, last_seen, began }
    }
}

prop_compose! {
    fn in_use()(gateway in text(), location in text(), last_error in text(), numbers in any::<[u64; 3]>()) -> LedgerInUse {
        let [revision, age_seconds, hosts] = numbers;
        LedgerInUse { gateway, revision, age_seconds, hosts, location, last_error }
    }
}

prop_compose! {
    fn report()(
        schema in text(), version in text(), id in text(), started in any::<i64>(), ledger in proptest::option::of(in_use()),
        verdict in text(), problems in proptest::collection::vec(text(), 0..3), counters in any::<[u64; 4]>(),
        observations in proptest::collection::vec(observation(), 0..3),
    ) -> Report {
        let [judged, unjudged, unlisted, drift] = counters;
        let counters = Counters { judged, unjudged, unlisted, drift };
        Report { schema, version, worker: Worker { id, started }, ledger, verdict, problems, counters, observations }
    }
}

proptest! {
    #[test]
    fn the_reports_own_writer_and_serde_agree(report in report()) {
        let ours = report.to_json();
        prop_assert_eq!(&ours, &serde_json::to_string(&report).unwrap());
        prop_assert_eq!(serde_json::from_str::<Report>(&ours).unwrap(), report);
    }
}
