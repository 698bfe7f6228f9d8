//! git, for proposals: reading a base, committing on a branch of our own,
//! and pushing it, with no `git` installed and without touching the work tree
//! or the index.

mod credentials;
mod error;
mod proposal;
mod remote;
mod ssh;

pub use credentials::{Credentials, Source, is_private};
pub use error::GitError;
pub use proposal::{Base, Bases, Content, Made, Proposal, Publication, prefix};
pub use remote::{Place, Remote};
