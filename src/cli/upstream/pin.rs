//! `warren upstream pin`: moves the lock.

use super::super::context::Context;
use super::super::error::CliError;
use super::{input_error, inputs, with_progress};
use crate::digest::Digest;
use crate::fs::{self, Access};
use crate::pipeline::upstream::{Contract, Listing, Lock, Pinned, Pinning, changes, fetch_tag};

/// What was typed after `warren upstream pin`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Writes vendor/trow.lock.toml and vendor/trow.files. What it looks for is \
                        in vendor/trow.contract.toml.\n\
                        --from-renovate takes the tag from the lock, in which Renovate has \
                        changed it and nothing else.\n\
                        Examples:\n  warren upstream pin v0.10.0\n  \
                        warren upstream pin --from-renovate --from mirror.git")]
pub(super) struct Args {
    /// The tag to pin
    #[arg(required_unless_present = "from_renovate")]
    tag: Option<String>,
    /// Pin the tag that the lock names now
    #[arg(long, conflicts_with = "tag")]
    from_renovate: bool,
    /// A url or path to fetch from instead of the contract's url
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
    /// The digest of the version's image, once someone resolved it
    #[arg(long, value_name = "DIGEST")]
    image_digest: Option<String>,
    /// Pin a tag again although it points elsewhere than when it was pinned
    #[arg(long)]
    accept_moved_tag: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let root = context.root()?;
    let image_digest = args.image_digest.as_deref().map(parse_digest).transpose()?;
    let old = old_lock(&root.join(Lock::PATH), context)?;
    let tag = match &args.tag {
        Some(tag) => tag.clone(),
        None => tag_of_lock(&root.join(Lock::PATH))?,
    };
    // Where Renovate wrote the tag, the rest is that of another one, which the
    // image's tag tells. Where it did not, the tag must lead to where it led.
    let rest = |old: &&Lock| tag.strip_prefix('v').unwrap_or(&tag) == old.image.tag;
    let same = old.as_ref().filter(|old| old.tag == tag && !args.accept_moved_tag);
    let same = same.filter(|old| !args.from_renovate || rest(old));
    let wanted = Wanted {
        tag: &tag,
        commit: same.map(|old| old.commit.0),
        from: args.from.as_ref(),
        image_digest: image_digest.as_ref(),
    };
    let pinned = pinned(&root, &wanted, old.as_ref())?;
    // The listing first: a lock without its listing fails a build, a listing
    // without its lock too, and the next run of this command mends both.
    let listing = write_changed(&root.join(Listing::PATH), &pinned.listing_text)?;
    let lock = write_changed(&root.join(Lock::PATH), &pinned.lock_text)?;
    if !listing && !lock {
        let (tag, commit) = (&pinned.lock.tag, pinned.lock.commit.short());
        context.printer.out(&format!("{tag} at {commit} is pinned already: nothing to do\n"));
        return Ok(());
    }
    let mut lines = changes(old.as_ref(), &pinned.lock);
    if lines.is_empty() {
        lines.push("nothing that we rely on changed".to_owned());
    }
    context.printer.out(&format!("{}\n", lines.join("\n")));
    context.printer.note("commit vendor/ to keep the pin");
    Ok(())
}

/// What to pin.
pub(super) struct Wanted<'a> {
    /// The tag.
    pub tag: &'a str,
    /// The commit that it must lead to, if that is known.
    pub commit: Option<git2::Oid>,
    /// Where to fetch from instead of the contract's url.
    pub from: Option<&'a String>,
    /// The digest of the version's image.
    pub image_digest: Option<&'a Digest>,
}

/// Fetches a tag and makes its lock, which is not written here.
pub(super) fn pinned(
    root: &std::path::Path,
    wanted: &Wanted<'_>,
    old: Option<&Lock>,
) -> Result<Pinned, CliError> {
    let contract = Contract::read(&root.join(Contract::PATH)).map_err(CliError::input)?;
    let inputs = inputs(root, wanted.from)?;
    let (repository, commit) = with_progress(|progress| {
        fetch_tag(&contract, wanted.tag, wanted.commit, &inputs, progress)
    })
    .map_err(|error| {
        let hint = "a tag that moved is pinned again with --accept-moved-tag, after a look at why";
        input_error(error).hint(hint)
    })?;
    let pinning = Pinning {
        contract: &contract,
        tag: wanted.tag,
        commit,
        old,
        image_digest: wanted.image_digest,
    };
    pinning.pin(&repository).map_err(|error| CliError::failed(error.to_string()))
}

/// The tag that the lock names, also where the rest of it is another tag's.
fn tag_of_lock(path: &std::path::Path) -> Result<String, CliError> {
    let text = fs::read_to_string(path)?;
    let wrong = |reason: String| {
        let kind = super::super::error::ErrorKind::Input;
        CliError::new(kind, format!("{}: {reason}", path.display()))
    };
    let table: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let tag = table.get("tag").and_then(toml::Value::as_str);
    tag.map(str::to_owned).ok_or_else(|| wrong("it names no tag".to_owned()))
}

fn parse_digest(text: &str) -> Result<Digest, CliError> {
    text.parse().map_err(|error| {
        let kind = super::super::error::ErrorKind::Usage;
        CliError::new(kind, format!("--image-digest {text}: {error}"))
    })
}

/// The lock that there was. One that can't be read is about to be replaced.
fn old_lock(path: &std::path::Path, context: &Context) -> Result<Option<Lock>, CliError> {
    let Some(bytes) = fs::read_if_there(path)? else { return Ok(None) };
    match Lock::parse(path, &String::from_utf8_lossy(&bytes)) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) => {
            context.printer.warning(&format!("the old lock is of no use: {error}"));
            Ok(None)
        }
    }
}

/// Writes the text unless it is there already, and says whether it wrote.
fn write_changed(path: &std::path::Path, text: &str) -> Result<bool, CliError> {
    if fs::read_if_there(path)?.is_some_and(|old| old == text.as_bytes()) {
        return Ok(false);
    }
    fs::write_atomic(path, text.as_bytes(), Access::Everyone)?;
    Ok(true)
}
