//! All set-up, building, testing, measuring and showing of certdrift, and where its tools are.
#![forbid(unsafe_code)]
