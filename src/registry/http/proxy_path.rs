//! What Trow pulls from elsewhere. This registry never does: no request makes
//! it dial out.

use super::route::Route;
use crate::registry::error::{ErrorCode, RegistryError};

/// Refuses what is meant for a registry elsewhere: repositories below `f/`, as
/// Trow names them. A client that sends `ns` asks us as the mirror of another
/// registry, and gets what is here.
///
/// # Errors
/// `UNSUPPORTED` (501).
pub(super) fn refuse_elsewhere(route: &Route) -> Result<(), RegistryError> {
    let (Some(name), _) = route.access() else { return Ok(()) };
    let Some(rest) = name.as_str().strip_prefix("f/") else { return Ok(()) };
    let host = rest.split('/').next().unwrap_or(rest);
    let message =
        format!("{name} would be pulled through from {host}, and this registry does not do that");
    Err(RegistryError::new(ErrorCode::Unsupported, message).with_status(501))
}
