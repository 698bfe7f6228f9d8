use std::fmt::Error;
use std::path::Path;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::fs;

/// Ticks of the clock in a second, as `/proc` counts them: the same on every
/// Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// The process itself, read from `/proc` when someone asks, under the names
/// that all of Prometheus' clients use. Where there is no `/proc` there is
/// nothing.
#[derive(Debug)]
pub(super) struct Process {
    start: Option<f64>,
}

impl Process {
    pub(super) fn new() -> Self {
        Self { start: start() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut gauge = |name, help, value: Option<f64>| match value {
            Some(value) => {
                let gauge = ConstGauge::new(value);
                let kind = gauge.metric_type();
                gauge.encode(encoder.encode_descriptor(name, help, None, kind)?)
            }
            None => Ok(()),
        };
        let status = read("status");
        let kibibytes = |key| line(status.as_deref(), key).map(|number| number * 1024.0);
        gauge("process_resident_memory_bytes", "Memory in use", kibibytes("VmRSS:"))?;
        gauge("process_resident_memory_peak_bytes", "The most so far", kibibytes("VmHWM:"))?;
        gauge("process_virtual_memory_bytes", "Addresses in use", kibibytes("VmSize:"))?;
        gauge("process_threads", "Threads", line(status.as_deref(), "Threads:"))?;
        let descriptors = fs::list(Path::new("/proc/self/fd")).ok();
        let open = descriptors.map(|open| open.len() as f64);
        gauge("process_open_fds", "Open file descriptors", open)?;
        let most = line(read("limits").as_deref(), "Max open files");
        gauge("process_max_fds", "How many there may be", most)?;
        gauge("process_start_time_seconds", "When the process began", self.start)?;
        if let Some(seconds) = cpu() {
            let counter = ConstCounter::new(seconds);
            let kind = counter.metric_type();
            let help = "Time on the processor";
            let name = "process_cpu_seconds";
            counter.encode(encoder.encode_descriptor(name, help, None, kind)?)?;
        }
        Ok(())
    }
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(&Path::new("/proc/self").join(file)).ok()
}

/// The first number after a key that begins a line.
fn line(text: Option<&str>, key: &str) -> Option<f64> {
    let rest = text?.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/self/stat`, counted as its manual page does.
fn stat(field: usize) -> Option<f64> {
    let text = read("stat")?;
    // The second field is a name in parentheses, which may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(field.checked_sub(3)?)?.parse().ok()
}

fn cpu() -> Option<f64> {
    Some((stat(14)? + stat(15)?) / TICKS)
}

fn start() -> Option<f64> {
    let system = fs::read_to_string(Path::new("/proc/stat")).ok();
    Some(line(system.as_deref(), "btime")? + stat(22)? / TICKS)
}
