//! What a gateway's or webhook's port answers to our one HTTP client: bounded, whatever comes.
#![no_main]
use certdrift::observe::http::{Request, Url, exchange};
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncWriteExt as _;

const LIMIT: usize = 4_096;

fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let url: Url = "http://gateway/certdrift/report".parse().expect("a URL");
    runtime.block_on(async {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let answer = exchange(ours, Request::get(url), LIMIT);
        let peer = async {
            let _ = theirs.write_all(bytes).await;
            drop(theirs);
        };
        let (answer, ()) = tokio::join!(answer, peer);
        if let Ok(answer) = answer {
            assert!(answer.body.len() <= LIMIT);
        }
    });
});
