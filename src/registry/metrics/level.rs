use prometheus_client::metrics::gauge::Gauge;

/// One more of something for as long as this is there.
#[derive(Debug)]
pub struct Level(Gauge);

impl Level {
    pub(super) fn up(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.0.dec();
    }
}
