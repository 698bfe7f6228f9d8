//! What the machine itself can do: one core's hashing, the disk's writing.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use warren::fs;

use super::Result;
use super::content::Large;
use super::load::percentile;

/// Bytes a second that one core hashes with SHA-256.
pub fn sha256(large: &Large) -> f64 {
    let start = Instant::now();
    let mut hasher = Sha256::new();
    for _ in 0..large.blocks {
        hasher.update(&large.block);
    }
    std::hint::black_box(hasher.finalize());
    large.size() as f64 / start.elapsed().as_secs_f64()
}

/// Bytes a second that the disk takes, synced.
pub fn disk(folder: &Path, large: &Large) -> Result<f64> {
    let path = folder.join("limit");
    let start = Instant::now();
    let mut file = File::create(&path)?;
    for _ in 0..large.blocks {
        file.write_all(&large.block)?;
    }
    file.sync_data()?;
    let elapsed = start.elapsed();
    fs::remove_if_there(&path)?;
    Ok(large.size() as f64 / elapsed.as_secs_f64())
}

/// Milliseconds to create a file of 4 KiB, sync it, rename it and sync its
/// folder, at the median.
pub fn small_file(folder: &Path, times: usize) -> Result<f64> {
    let mut took = Vec::new();
    for number in 0..times {
        let (from, to) = (folder.join("small.tmp"), folder.join(format!("small-{}", number % 8)));
        let start = Instant::now();
        let mut file = File::create(&from)?;
        file.write_all(&[7; 4096])?;
        file.sync_all()?;
        fs::rename(&from, &to)?;
        fs::sync_dir(folder)?;
        took.push(start.elapsed());
    }
    took.sort_unstable();
    Ok(percentile(&took, 0.5))
}

/// Seconds as a duration, for figures that are times.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
