//! What a tag pointed to: a line a move, `digest milliseconds`, the newest
//! last. It is kept for people, not for the protocol: nothing waits for it to
//! be durable, no move fails because of it, and what a crash leaves out of it
//! is made up from the tag itself.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Inner;
use crate::digest::Digest;
use crate::registry::name::RepositoryName;
use crate::registry::reference::Tag;
use crate::registry::store::{StoreError, TAG_MOVES_KEPT, TagMove};

impl Inner {
    /// Every move of a tag that is remembered, the newest first.
    pub(super) fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Vec<TagMove>, StoreError> {
        let text = self.disk.read(&self.layout.history(repository, tag))?.unwrap_or_default();
        let mut moves: Vec<_> = lines(&text).collect();
        // The tag is older than histories, or a crash came between.
        let newest = moves.last().map(|newest| newest.digest.clone());
        let last = self.last_move(&self.layout.tag(repository, tag))?;
        moves.extend(last.filter(|last| newest.as_ref() != Some(&last.digest)));
        moves.reverse();
        moves.truncate(TAG_MOVES_KEPT);
        Ok(moves)
    }

    /// Writes down where a tag went from and to, under the repository's lock
    /// and once it is there. `from` is the move that led to where it was: it
    /// may be that nobody had written that down.
    pub(super) fn remember(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        from: Option<&TagMove>,
        to: &Digest,
    ) -> Result<(), StoreError> {
        let path = self.layout.history(repository, tag);
        let text = self.disk.read(&path)?.unwrap_or_default();
        let moves: Vec<_> = lines(&text).collect();
        let newest = moves.last().map(|newest| &newest.digest);
        let from = from.filter(|from| newest != Some(&from.digest));
        let to = TagMove { digest: to.clone(), at: SystemTime::now() };
        let new: String = from.into_iter().chain([&to]).map(line).collect();
        if moves.len() >= 2 * TAG_MOVES_KEPT {
            let kept: String = moves.iter().skip(moves.len() - TAG_MOVES_KEPT).map(line).collect();
            return Ok(self.disk.put_for_now(&path, (kept + &new).as_bytes())?);
        }
        // A line that was cut off must not spoil the next one.
        let torn = !text.is_empty() && !text.ends_with(b"\n");
        let new = if torn { format!("\n{new}") } else { new };
        Ok(self.disk.append_for_now(&path, new.as_bytes())?)
    }

    /// The move that led to where a tag points now, as its file tells it.
    pub(super) fn last_move(&self, path: &Path) -> Result<Option<TagMove>, StoreError> {
        let Some(digest) = self.tag(path)? else { return Ok(None) };
        let age = self.disk.age(path)?.unwrap_or_default();
        let at = SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH);
        Ok(Some(TagMove { digest, at }))
    }
}

fn line(tag_move: &TagMove) -> String {
    let since = tag_move.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{} {}\n", tag_move.digest, since.as_millis())
}

/// The lines that are whole.
fn lines(text: &[u8]) -> impl Iterator<Item = TagMove> {
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        let (digest, at) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(at.parse().ok()?))?;
        Some(TagMove { digest: digest.parse().ok()?, at })
    })
}
