use std::time::Duration;

use super::flags::Flags;
use super::layers::{Layers, flag};
use super::{Setting, SettingsError};

/// What the registry does for its store without being asked, as typed.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Upkeep of the store (durations: 90s, 15m, 24h, 7d, off)")]
pub struct UpkeepFlags {
    /// Time between two collections of what nothing refers to [default: 24h]
    #[arg(long, value_name = "DURATION")]
    pub gc_interval: Option<String>,

    /// How long what was pushed, mounted or asked for is kept from collection [default: 24h]
    #[arg(long, value_name = "DURATION")]
    pub gc_lease: Option<String>,

    /// Collect manifests that no tag leads to and nobody pulled for this long [default: off]
    #[arg(long, value_name = "DURATION")]
    pub gc_untagged: Option<String>,

    /// Time between two scrubs, which read everything and compare it with its digest [default: 7d]
    #[arg(long, value_name = "DURATION")]
    pub scrub_interval: Option<String>,

    /// MiB that a scrub reads in a second at most [default: 20]
    #[arg(long, value_name = "MIB")]
    pub scrub_rate: Option<String>,
}

/// The upkeep of the store.
#[derive(Clone, Debug)]
pub struct Upkeep {
    /// The time between two collections; none without.
    pub gc_interval: Setting<Option<Duration>>,
    /// How long what was touched is kept.
    pub gc_lease: Setting<Duration>,
    /// How old untagged manifests get; without, they are kept.
    pub gc_untagged: Setting<Option<Duration>>,
    /// The time between two scrubs; none without.
    pub scrub_interval: Setting<Option<Duration>>,
    /// The bytes that a scrub reads in a second.
    pub scrub_rate: Setting<u64>,
}

const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(24 * 7);
const RATE: u64 = 20 << 20;

pub(super) fn resolve(flags: &Flags, layers: &Layers<'_>) -> Result<Upkeep, SettingsError> {
    let UpkeepFlags { gc_interval, gc_lease, gc_untagged, scrub_interval, scrub_rate } =
        &flags.upkeep;
    let span = |setting, spelling, value: &Option<String>, built_in| {
        let parse = |text: &str| match duration(text)? {
            Some(Duration::ZERO) if setting != "gc-untagged" => {
                Err("it would never rest; write `off` for none".to_owned())
            }
            parsed => Ok(parsed),
        };
        let given = layers.parsed(setting, flag(spelling, value.as_deref()), parse)?;
        Ok(given.unwrap_or(Setting::built_in(built_in)))
    };
    let lease = |text: &str| duration(text)?.ok_or("a lease can't be off".to_owned());
    let rate = |text: &str| match text.parse::<u64>() {
        Ok(count @ 1..=1_000_000) => Ok(count << 20),
        _ => Err("it is a whole number of MiB a second, from 1".to_owned()),
    };
    Ok(Upkeep {
        gc_interval: span("gc-interval", "--gc-interval", gc_interval, Some(DAY))?,
        gc_lease: layers
            .parsed("gc-lease", flag("--gc-lease", gc_lease.as_deref()), lease)?
            .unwrap_or(Setting::built_in(DAY)),
        gc_untagged: span("gc-untagged", "--gc-untagged", gc_untagged, None)?,
        scrub_interval: span("scrub-interval", "--scrub-interval", scrub_interval, Some(WEEK))?,
        scrub_rate: layers
            .parsed("scrub-rate", flag("--scrub-rate", scrub_rate.as_deref()), rate)?
            .unwrap_or(Setting::built_in(RATE)),
    })
}

/// A duration as people write it; `off` is none.
pub(super) fn duration(text: &str) -> Result<Option<Duration>, String> {
    let wrong = || format!("`{text}` is no duration; write 90s, 15m, 24h, 7d, or off");
    if text == "off" {
        return Ok(None);
    }
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let count = text.strip_suffix(unit).and_then(|text| text.parse::<u32>().ok());
    count.map(|count| Some(Duration::from_secs(u64::from(count) * seconds))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_do() {
        assert_eq!(duration("90s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(duration("15m"), Ok(Some(Duration::from_mins(15))));
        assert_eq!(duration("7d"), Ok(Some(WEEK)));
        assert_eq!(duration("off"), Ok(None));
        for text in ["", "d", "7", "-1h", "1.5h", "7 d", "1µ"] {
            assert!(duration(text).unwrap_err().contains("90s"), "{text}");
        }
    }
}
