//! `warren image`: the same bytes each time, and what an image must say.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::assert::OutputAssertExt as _;
use serde_json::Value;
use warren::digest::Digest;
use warren::fs::{self, Access};

/// A program of one header: static, unless it names a loader.
fn program(machine: u16, segment: u32) -> Vec<u8> {
    let mut elf = vec![0; 64 + 56];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
    elf[54..56].copy_from_slice(&56_u16.to_le_bytes());
    elf[56..58].copy_from_slice(&1_u16.to_le_bytes());
    elf[64..68].copy_from_slice(&segment.to_le_bytes());
    elf
}

fn image(dir: &Path, program: &[u8], time: &str) -> Output {
    let binary = dir.join("program");
    fs::write_atomic(&binary, program, Access::Everyone).unwrap();
    Command::new(env!("CARGO_BIN_EXE_warren"))
        .args(["image", "--binary"])
        .arg(&binary)
        .arg("--output")
        .arg(dir.join("image.tar"))
        .env("SOURCE_DATE_EPOCH", time)
        .output()
        .unwrap()
}

/// The files of a tar file: name, mode, owner, time, content. Folders end in /.
fn untar(tar: &[u8]) -> BTreeMap<String, (u64, u64, u64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut at = 0;
    assert_eq!(tar.len() % 512, 0);
    while tar[at] != 0 {
        let header = &tar[at..at + 512];
        let text = |from: usize, to: usize| {
            let text = std::str::from_utf8(&header[from..to]).unwrap();
            text.split('\0').next().unwrap().trim().to_owned()
        };
        let octal = |from, to| u64::from_str_radix(&text(from, to), 8).unwrap();
        assert_eq!(text(257, 263), "ustar");
        let sum: u64 = header
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        assert_eq!(octal(148, 156), sum);
        let size = usize::try_from(octal(124, 136)).unwrap();
        let content = tar[at + 512..at + 512 + size].to_vec();
        found.insert(text(0, 100), (octal(100, 108), octal(108, 116), octal(136, 148), content));
        at += 512 + size.next_multiple_of(512);
    }
    assert_eq!(&tar[at..], &[0; 1024]);
    found
}

#[test]
fn the_same_program_gives_the_same_image() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first =
        image(one.path(), &program(62, 1), "1700000000").assert().code(0).get_output().clone();
    let second =
        image(two.path(), &program(62, 1), "1700000000").assert().code(0).get_output().clone();
    assert_eq!(first.stdout, second.stdout);
    let bytes = fs::read(&one.path().join("image.tar")).unwrap();
    assert_eq!(bytes, fs::read(&two.path().join("image.tar")).unwrap());
    image(two.path(), &program(62, 1), "1700000001").assert().code(0);
    assert_ne!(bytes, fs::read(&two.path().join("image.tar")).unwrap());
}

#[test]
fn the_image_is_whole_and_says_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        image(dir.path(), &program(183, 1), "1700000000").assert().code(0).get_output().clone();
    let files = untar(&fs::read(&dir.path().join("image.tar")).unwrap());
    assert_eq!(files["oci-layout"].3, br#"{"imageLayoutVersion":"1.0.0"}"#);
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        let bytes = files[&format!("blobs/{}", digest.replace(':', "/"))].3.clone();
        assert_eq!(Digest::sha256(&bytes).to_string(), digest);
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    };
    let listed = &json(&files["index.json"].3)["manifests"][0];
    assert_eq!(listed["digest"], String::from_utf8(output.stdout).unwrap().trim());
    assert_eq!(listed["platform"]["architecture"], "arm64");
    let manifest = json(&blob(listed));
    let config = json(&blob(&manifest["config"]));
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    assert_eq!(config["config"]["User"], "999:999", "that of our manifests; a number");
    assert_eq!(config["config"]["Entrypoint"][0], "/warren-registry");
    assert_eq!(config["config"]["Volumes"]["/data"], serde_json::json!({}));
    let layer = blob(&manifest["layers"][0]);
    assert_eq!(config["rootfs"]["diff_ids"][0], Digest::sha256(&layer).to_string());
    let inside = untar(&layer);
    let names: Vec<_> = inside.keys().map(String::as_str).collect();
    assert_eq!(names, ["data/", "etc/", "etc/group", "etc/passwd", "warren-registry"]);
    assert_eq!(inside["warren-registry"], (0o755, 0, 1_700_000_000, program(183, 1)));
    assert_eq!((inside["data/"].0, inside["data/"].1), (0o755, 999));
}

#[test]
fn a_program_that_can_t_run_alone_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (program, problem) in [
        (program(62, 3), "crt-static"),
        (program(40, 1), "machine 40"),
        (b"#!/bin/sh\n".to_vec(), "no 64-bit ELF"),
    ] {
        let output = image(dir.path(), &program, "0").assert().code(3).get_output().clone();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(problem) && stderr.contains("program"), "{stderr}");
        assert!(!dir.path().join("image.tar").exists());
    }
}
