//! git, for proposals: reading a base, committing on a branch of our own,
//! and pushing it, with no `git` installed and without touching the work tree
//! or the index.

mod credentials;
mod error;
mod proposal;
mod remote;
mod ssh;

pub use credentials::{Credentials, Source};
pub use error::GitError;
pub use proposal::{Base, Bases, Content, Made, Proposal, Publication};
pub use remote::{Place, Remote};
