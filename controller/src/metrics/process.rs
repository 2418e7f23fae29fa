//! The process's own figures, from /proc/self (proc(5)).
use super::catalogue as is;
use super::store::Gauges;

/// Sets the process's gauges; gives the CPU seconds used. What /proc does not tell is left out.
pub fn read(gauges: &mut Gauges) -> Option<f64> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
    if let Ok(fds) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the directory being read.
        gauges.set(&is::FDS, &[], figure(fds.count().saturating_sub(1) as u64));
    }
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        gauges.set(&is::MAX_FDS, &[], figure(limit));
    }
    let ticks = rustix::param::clock_ticks_per_second();
    let stat = Stat::parse(&read("stat")?)?;
    gauges.set(&is::VIRTUAL, &[], figure(stat.virtual_bytes));
    gauges.set(&is::MEMORY, &[], figure(stat.resident_pages * rustix::param::page_size() as u64));
    let boot = std::fs::read_to_string("/proc/stat").ok().and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|s| s.trim().parse::<u64>().ok())
    });
    if let Some(boot) = boot {
        gauges.set(&is::START, &[], figure(boot) + figure(stat.started) / figure(ticks));
    }
    Some(figure(stat.cpu) / figure(ticks))
}

#[derive(Debug, PartialEq)]
struct Stat {
    /// User and system, in clock ticks.
    cpu: u64,
    /// After boot, in clock ticks.
    started: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// The command's name stands in parentheses and may hold anything, parentheses too: fields are counted from the last one.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Field 3 of proc_pid_stat(5) is the first here.
        let field = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu: field(14)?.checked_add(field(15)?)?,
            started: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "a gauge is a double; exact below 2^53")]
const fn figure(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let text =
            "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 11 22 0 0 20 0 1 0 555 4096000 321 18446744073709551615";
        let expected = Stat { cpu: 33, started: 555, virtual_bytes: 4_096_000, resident_pages: 321 };
        assert_eq!(Stat::parse(text), Some(expected));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_memory_and_open_files() {
        let mut gauges = Gauges::default();
        assert!(read(&mut gauges).is_some_and(|cpu| cpu >= 0.0));
        for metric in [&is::MEMORY, &is::VIRTUAL, &is::FDS, &is::MAX_FDS, &is::START] {
            assert!(gauges.values[metric.name][&Vec::new()] > 0.0, "{}", metric.name);
        }
    }
}
