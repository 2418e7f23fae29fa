//! The metrics table. It belongs to the host: it outlives a reset of the filter (host notes, trap 7).
use super::abi::status;

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Any value.
    Gauge,
    /// Values recorded; cannot be read back.
    Histogram,
}

/// One metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// As defined.
    pub name: String,
    /// As defined.
    pub kind: MetricKind,
    /// Of a histogram: how many values were recorded.
    pub value: u64,
}

/// All metrics; an id is an index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) all: Vec<Metric>,
}

impl Metrics {
    /// The id; the same for the same name and kind.
    pub(crate) fn define(&mut self, kind: u32, name: &[u8]) -> Result<u32, u32> {
        let kind = match kind {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Histogram,
            _ => return Err(status::BAD_ARGUMENT),
        };
        let name = String::from_utf8(name.to_vec()).map_err(|_| status::BAD_ARGUMENT)?;
        if name.is_empty() {
            return Err(status::BAD_ARGUMENT);
        }
        let at = self.all.iter().position(|m| m.name == name).unwrap_or_else(|| {
            self.all.push(Metric { name, kind, value: 0 });
            self.all.len() - 1
        });
        if self.all[at].kind != kind {
            return Err(status::BAD_ARGUMENT);
        }
        u32::try_from(at + 1).map_err(|_| status::INTERNAL_FAILURE)
    }

    fn by_id(&mut self, id: u32) -> Result<&mut Metric, u32> {
        let at = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        at.and_then(|at| self.all.get_mut(at)).ok_or(status::NOT_FOUND)
    }

    pub(crate) fn increment(&mut self, id: u32, offset: i64) -> Result<(), u32> {
        let metric = self.by_id(id)?;
        if metric.kind == MetricKind::Histogram || (metric.kind == MetricKind::Counter && offset < 0) {
            return Err(status::BAD_ARGUMENT);
        }
        metric.value = metric.value.saturating_add_signed(offset);
        Ok(())
    }

    pub(crate) fn record(&mut self, id: u32, value: u64) -> Result<(), u32> {
        let metric = self.by_id(id)?;
        match metric.kind {
            MetricKind::Counter => return Err(status::BAD_ARGUMENT),
            MetricKind::Gauge => metric.value = value,
            MetricKind::Histogram => metric.value += 1,
        }
        Ok(())
    }

    pub(crate) fn get(&mut self, id: u32) -> Result<u64, u32> {
        let metric = self.by_id(id)?;
        if metric.kind == MetricKind::Histogram { Err(status::BAD_ARGUMENT) } else { Ok(metric.value) }
    }
}
