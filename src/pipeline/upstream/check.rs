//! Compares the lock with itself and with what was fetched or vendored.

use super::commit::Object;
use super::contract::{Contract, Place};
use super::listing::Listing;
use super::lock::{Lock, LockedRow};
use super::lookup::lookup;
use super::mismatch::Mismatch;
use super::snapshot::Snapshot;

/// What the lock and the listing say of each other. It needs neither network
/// nor upstream, so most of what can be edited in a lock is found out everywhere.
#[must_use]
pub fn check_lock(lock: &Lock, listing: &Listing) -> Vec<Mismatch> {
    let mut rows = Vec::new();
    rows.extend(Mismatch::unless_equal("export", &lock.export, listing.digest()));
    match listing.tree_id() {
        Ok(id) => rows.extend(Mismatch::unless_equal("tree", lock.tree, id)),
        Err(error) => rows.push(Mismatch::new("tree", lock.tree, error.message())),
    }
    for file in &lock.files {
        let found = listing.entries.get(&file.path);
        let found = found.map_or("no such file".to_owned(), |entry| entry.sha256.to_string());
        rows.extend(Mismatch::unless_equal(format!("file {}", file.path), &file.sha256, found));
    }
    for row in &lock.contract {
        if let Place::Text { contains, states } = &row.place {
            let name = format!("contract {}", row.name);
            let stated = states.as_ref().unwrap_or(contains);
            rows.extend(Mismatch::unless_equal(name, &row.value, stated));
        }
    }
    // Several rows state the port: an edit of one is contradicted by the others.
    let value = |name: &str| lock.contract.iter().find(|row| row.name == name);
    if let Some(port) = value("port") {
        for row in ["container-port", "bind-port"].into_iter().filter_map(value) {
            let name = format!("contract {}", row.name);
            rows.extend(Mismatch::unless_equal(name, &port.value, &row.value));
        }
    }
    let facts = lock.upstream();
    rows.extend(Mismatch::unless_equal("tag", format!("v{}", facts.version), &lock.tag));
    rows.extend(Mismatch::unless_equal("image.tag", &facts.version, &lock.image.tag));
    if let Some(row) = lock.contract.iter().find(|row| row.name == "image-repository") {
        rows.extend(Mismatch::unless_equal("image.repository", &row.value, &lock.image.repository));
    }
    rows
}

/// What the commit that the lock holds says of the lock: that it is the one,
/// with this tree and this signer. It needs no network either.
#[must_use]
pub fn check_commit(lock: &Lock) -> Vec<Mismatch> {
    let object = Object(&lock.commit_object);
    let id = match object.id() {
        Ok(id) => id.to_string(),
        Err(error) => error.message().to_owned(),
    };
    let none = || "none".to_owned();
    let signer = lock.signer.clone().unwrap_or_else(none);
    let mut rows = Vec::new();
    rows.extend(Mismatch::unless_equal("commit", lock.commit, id));
    let tree = object.tree().unwrap_or_else(none);
    rows.extend(Mismatch::unless_equal("tree", lock.tree, tree));
    rows.extend(Mismatch::unless_equal("signer", signer, object.signer().unwrap_or_else(none)));
    rows
}

/// Where the lock was written for another contract than the one that is there.
#[must_use]
pub fn check_contract(lock: &Lock, contract: &Contract) -> Vec<Mismatch> {
    let mut rows = contract_rows(lock, contract);
    for (name, asked, found) in [
        ("image.repository", &contract.image, &lock.image.repository),
        ("url", &contract.url, &lock.url),
        ("mirrors", &contract.mirrors.join(" "), &lock.mirrors.join(" ")),
    ] {
        rows.extend(Mismatch::unless_equal(name, asked, found));
    }
    rows
}

/// The lock has the contract's rows, one for one.
fn contract_rows(lock: &Lock, contract: &Contract) -> Vec<Mismatch> {
    let mut rows = Vec::new();
    for row in &contract.rows {
        let name = format!("contract {}", row.name);
        let asked = format!("{} {:?}", row.file, row.place);
        match lock.contract.iter().find(|locked| locked.name == row.name) {
            Some(locked) => rows.extend(Mismatch::unless_equal(
                name,
                asked,
                format!("{} {:?}", locked.file, locked.place),
            )),
            None => rows.push(Mismatch::new(name, asked, "no such row")),
        }
    }
    for locked in &lock.contract {
        if !contract.rows.iter().any(|row| row.name == locked.name) {
            let name = format!("contract {}", locked.name);
            rows.push(Mismatch::new(name, "no such row", &locked.value));
        }
    }
    rows
}

/// How a tree differs from the pinned one: file by file, and row by row of
/// the contract.
#[must_use]
pub fn check_tree(lock: &Lock, listing: &Listing, found: &Snapshot) -> Vec<Mismatch> {
    let mut rows: Vec<_> = listing
        .differences(&found.listing)
        .into_iter()
        .map(|row| explain_line_ends(row, listing, found))
        .collect();
    rows.extend(Mismatch::unless_equal("export", &lock.export, found.listing.digest()));
    match found.listing.tree_id() {
        Ok(id) => rows.extend(Mismatch::unless_equal("tree", lock.tree, id)),
        Err(error) => rows.push(Mismatch::new("tree", lock.tree, error.message())),
    }
    rows.extend(lock.contract.iter().filter_map(|row| check_row(row, found)));
    rows
}

fn check_row(row: &LockedRow, found: &Snapshot) -> Option<Mismatch> {
    let name = format!("contract {}", row.name);
    let expected = format!("{:?} in {}", row.value, row.file);
    let Some(bytes) = found.contents.get(&row.file) else {
        return Some(Mismatch::new(name, expected, "no such file"));
    };
    match lookup(&row.file, bytes, &row.place) {
        Ok(value) if value == row.value => None,
        Ok(value) => Some(Mismatch::new(name, expected, format!("{value:?}"))),
        Err(error) => Some(Mismatch::new(name, expected, error)),
    }
}

/// Says so where a file differs by its line ends only: then it was not the
/// upstream that changed.
fn explain_line_ends(mut row: Mismatch, listing: &Listing, found: &Snapshot) -> Mismatch {
    let path = row.row.strip_prefix("file ").unwrap_or_default();
    let expected = listing.entries.get(path).map(|entry| &entry.sha256);
    if expected.is_some() && expected == found.with_lf.get(path) {
        row.found.push_str(
            ", the same text with CRLF line ends: something converted it (core.autocrlf?); \
             run `warren upstream vendor` again",
        );
    }
    row
}
