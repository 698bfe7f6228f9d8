//! What the tags of a repository may lead to while several clients write to it
//! at once. A write takes effect somewhere between its request and its answer,
//! and one without an answer took effect or did not. What a read found is right
//! where some order of the writes explains it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use warren::digest::Digest;

/// The tags of one repository, as those know them who write to it.
#[derive(Default)]
pub struct Tags(Mutex<State>);

/// When a request began that is under way.
#[derive(Clone, Copy)]
pub struct Begun(u64);

/// What a write does to a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Points it to a manifest that nobody has pushed before.
    Set(Digest),
    /// Removes it.
    Remove,
    /// Removes this manifest, and with it the tag if it leads there.
    RemoveManifest(Digest),
}

#[derive(Default)]
struct State {
    /// Every event has a time of its own.
    now: u64,
    /// When the reads began that are under way.
    reads: BTreeSet<u64>,
    writes: BTreeMap<String, Vec<Write>>,
}

struct Write {
    change: Change,
    begun: u64,
    /// `u64::MAX` as long as there is no answer.
    ended: u64,
    /// Whether it was acknowledged.
    sure: bool,
}

impl Tags {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A change is about to be asked for.
    pub fn write(&self, tag: &str, change: Change) -> Begun {
        let mut state = self.lock();
        let begun = state.tick();
        state.of(tag).push(Write { change, begun, ended: u64::MAX, sure: false });
        Begun(begun)
    }

    /// It was acknowledged.
    pub fn written(&self, tag: &str, begun: Begun) {
        let mut state = self.lock();
        let ended = state.tick();
        for write in state.of(tag).iter_mut().filter(|write| write.begun == begun.0) {
            write.ended = ended;
            write.sure = true;
        }
        state.forget(tag);
    }

    /// A read is about to begin.
    pub fn read(&self) -> Begun {
        let mut state = self.lock();
        let begun = state.tick();
        state.reads.insert(begun);
        Begun(begun)
    }

    /// Whether a request that began then may find this behind a tag now. What a
    /// write of its own does is no explanation.
    pub fn explains(&self, tag: &str, begun: Begun, found: Option<&Digest>) -> bool {
        may_be(self.lock().of(tag), found, begun.0)
    }

    /// Whether somebody has asked to delete a manifest that a read under way
    /// has found behind a tag.
    pub fn is_deleted(&self, tag: &str, digest: &Digest) -> bool {
        let change = Change::RemoveManifest(digest.clone());
        self.lock().of(tag).iter().any(|write| write.change == change)
    }

    /// Whether the tag may lead elsewhere than to a manifest that this read has
    /// found.
    pub fn is_left(&self, tag: &str, begun: Begun, digest: &Digest) -> bool {
        let set = Change::Set(digest.clone());
        let other = |write: &Write| write.change != set && write.change.undoes(&set);
        self.lock().of(tag).iter().any(|write| write.ended > begun.0 && other(write))
    }

    /// A read is over with all that comes after it.
    pub fn over(&self, begun: Begun) {
        self.lock().reads.remove(&begun.0);
    }

    /// The manifest that the last acknowledged write pointed a tag to.
    pub fn latest(&self, tag: &str) -> Option<Digest> {
        let mut state = self.lock();
        let last = state.of(tag).iter().filter(|write| write.sure).max_by_key(|write| write.ended);
        match &last?.change {
            Change::Set(digest) => Some(digest.clone()),
            Change::Remove | Change::RemoveManifest(_) => None,
        }
    }

    /// Who has no answer by now gets none.
    pub fn rest(&self) {
        let mut state = self.lock();
        let now = state.tick();
        state.reads.clear();
        for write in state.writes.values_mut().flatten() {
            write.ended = write.ended.min(now);
        }
    }

    /// Nobody else writes to a tag, and this is what it leads to.
    pub fn settle(&self, tag: &str, found: Option<&Digest>) {
        let mut state = self.lock();
        let now = state.tick();
        let change = found.map_or(Change::Remove, |digest| Change::Set(digest.clone()));
        *state.of(tag) = vec![Write { change, begun: now, ended: now, sure: true }];
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// The writes to a tag, which begins as one that is not there.
    fn of(&mut self, tag: &str) -> &mut Vec<Write> {
        let nothing = || vec![Write { change: Change::Remove, begun: 0, ended: 0, sure: true }];
        self.writes.entry(tag.to_owned()).or_insert_with(nothing)
    }

    /// Drops the writes to a tag that were undone before any request began
    /// that is under way.
    fn forget(&mut self, tag: &str) {
        let read = self.reads.first().copied().unwrap_or(self.now);
        let writes = self.of(tag);
        let waiting = writes.iter().filter(|write| write.ended == u64::MAX);
        let oldest = waiting.map(|write| write.begun).fold(read, u64::min);
        let settled = writes.iter().filter(|write| {
            let always = !matches!(write.change, Change::RemoveManifest(_));
            write.sure && always && write.ended < oldest
        });
        if let Some(last) = settled.map(|write| write.begun).max() {
            writes.retain(|write| write.ended >= last);
        }
    }
}

impl Change {
    fn undoes(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Set(_), _) | (Self::Remove, Self::Set(_)) => true,
            (Self::RemoveManifest(gone), Self::Set(digest)) => gone == digest,
            _ => false,
        }
    }
}

/// Whether who began to ask at this time may find this.
fn may_be(writes: &[Write], found: Option<&Digest>, from: u64) -> bool {
    let explains = |write: &Write| match (&write.change, found) {
        (Change::Set(digest), Some(found)) => digest == found,
        (Change::Remove, None) => true,
        // Only where it met the tag on that manifest.
        (Change::RemoveManifest(digest), None) => may_be(writes, Some(digest), write.begun),
        _ => false,
    };
    let own = |write: &Write| write.begun == from;
    writes.iter().any(|write| !own(write) && holds(writes, write, from) && explains(write))
}

/// Whether nothing has undone a write for certain before this time: what undoes
/// it for certain began after its answer.
fn holds(writes: &[Write], write: &Write, from: u64) -> bool {
    !writes.iter().any(|later| {
        let between = later.begun > write.ended && later.ended < from;
        later.sure && between && later.change.undoes(&write.change)
    })
}

fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

#[test]
fn a_read_finds_what_was_acknowledged_last_and_nothing_else() {
    let tags = Tags::default();
    let (one, two) = (digest("one"), digest("two"));
    let found = |expected: Option<&Digest>| {
        let read = tags.read();
        let may = [None, Some(&one), Some(&two)].map(|found| tags.explains("t", read, found));
        tags.over(read);
        assert_eq!(may, [None, Some(&one), Some(&two)].map(|found| found == expected));
        assert_eq!(tags.latest("t").as_ref(), expected);
    };
    found(None);
    for (change, expected) in [
        (Change::Set(one.clone()), Some(&one)),
        (Change::Set(two.clone()), Some(&two)),
        // It leads elsewhere by now.
        (Change::RemoveManifest(one.clone()), Some(&two)),
        (Change::RemoveManifest(two.clone()), None),
    ] {
        let moves = matches!(change, Change::Set(_)) || expected.is_none();
        let write = tags.write("t", change);
        tags.written("t", write);
        if moves {
            found(expected);
        } else {
            let read = tags.read();
            assert!(tags.explains("t", read, expected) && !tags.explains("t", read, None));
            tags.over(read);
        }
    }
}

#[test]
fn writes_at_the_same_time_come_in_either_order() {
    let tags = Tags::default();
    let (one, two) = (digest("one"), digest("two"));
    let early = tags.read();
    let first = tags.write("t", Change::Set(one.clone()));
    let second = tags.write("t", Change::Set(two.clone()));
    assert!(tags.explains("t", early, None) && tags.explains("t", early, Some(&two)));
    tags.written("t", second);
    tags.written("t", first);
    let late = tags.read();
    assert!(tags.explains("t", late, Some(&one)) && tags.explains("t", late, Some(&two)));
    assert!(!tags.explains("t", late, None), "either has taken effect");
    assert!(tags.explains("t", early, None), "but not for who asked before");
    let third = tags.write("t", Change::Remove);
    assert!(!tags.explains("t", third, None), "its own effect doesn't explain it");
    assert!(tags.explains("t", late, None));
    tags.written("t", third);
    assert!(tags.is_left("t", late, &one) && !tags.is_deleted("t", &one));
    let last = tags.read();
    assert!(tags.explains("t", last, None) && !tags.explains("t", last, Some(&one)));
}

#[test]
fn a_write_without_an_answer_took_effect_or_did_not() {
    let tags = Tags::default();
    let (one, two) = (digest("one"), digest("two"));
    let write = tags.write("t", Change::Set(one.clone()));
    tags.written("t", write);
    tags.write("t", Change::Set(two.clone()));
    tags.rest();
    let read = tags.read();
    assert!(tags.explains("t", read, Some(&one)) && tags.explains("t", read, Some(&two)));
    assert!(!tags.explains("t", read, None));
    tags.settle("t", Some(&one));
    assert!(tags.explains("t", read, Some(&one)) && !tags.explains("t", read, Some(&two)));
    let write = tags.write("t", Change::RemoveManifest(one.clone()));
    assert!(tags.is_deleted("t", &one));
    tags.written("t", write);
    let read = tags.read();
    assert!(tags.explains("t", read, None) && !tags.explains("t", read, Some(&one)));
}
