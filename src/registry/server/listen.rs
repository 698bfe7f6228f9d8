use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use super::ServerError;
use crate::registry::settings::{Origin, Setting};

/// Listens on every address of the setting.
///
/// `[::]` takes IPv4 connections too on most systems. Where there is no IPv6
/// at all it means `0.0.0.0`; where both are asked for and the first has taken
/// the port of the second, that is what was asked for.
///
/// # Errors
/// [`ServerError::Listen`] with the address and the way out.
pub async fn listen(bind: &Setting<Vec<SocketAddr>>) -> Result<Vec<TcpListener>, ServerError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut addresses = bind.value.clone();
    // IPv4 first, so that a machine without IPv6 does not lack both; but `[::]`
    // before the IPv4 addresses that it covers.
    addresses.sort_by_key(|address| match (address.ip().is_unspecified(), address.is_ipv6()) {
        (true, true) => 0,
        (_, false) => 1,
        (false, true) => 2,
    });
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse && covered(&listeners, address) => {}
            Err(error) if is_without_ipv6(address, &error) => {
                let fallback = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
                tracing::warn!(%address, %fallback, "this system has no IPv6; listening on IPv4");
                let listener = TcpListener::bind(fallback)
                    .await
                    .map_err(|error| failure(fallback, &bind.origin, &error))?;
                listeners.push(listener);
            }
            Err(error) if lacks_ipv6(address, &error) && !listeners.is_empty() => {
                tracing::warn!(%address, "this system has no such IPv6 address; going on without");
            }
            Err(error) => return Err(failure(address, &bind.origin, &error)),
        }
    }
    Ok(listeners)
}

/// Whether one of ours on `[::]` has the port of an IPv4 address already.
fn covered(listeners: &[TcpListener], address: SocketAddr) -> bool {
    address.is_ipv4()
        && listeners.iter().filter_map(|listener| listener.local_addr().ok()).any(|ours| {
            ours.is_ipv6() && ours.ip().is_unspecified() && ours.port() == address.port()
        })
}

fn is_without_ipv6(address: SocketAddr, error: &std::io::Error) -> bool {
    address.ip().is_unspecified() && lacks_ipv6(address, error)
}

/// Whether a wildcard or loopback address is missing because IPv6 is.
fn lacks_ipv6(address: SocketAddr, error: &std::io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    address.is_ipv6()
        && (address.ip().is_unspecified() || address.ip().is_loopback())
        && (error.raw_os_error() == Some(EAFNOSUPPORT)
            || error.kind() == ErrorKind::AddrNotAvailable)
}

fn failure(address: SocketAddr, origin: &Origin, error: &std::io::Error) -> ServerError {
    let problem = match error.kind() {
        ErrorKind::AddrInUse => format!(
            "the port is in use; stop what listens there (`ss -ltnp` shows it), or choose another with --bind {}",
            SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8000))
        ),
        ErrorKind::PermissionDenied => {
            "the system does not let this process have the port; choose one above 1023 with --bind"
                .to_owned()
        }
        ErrorKind::AddrNotAvailable => {
            "no interface of this machine has the address; choose one that has with --bind"
                .to_owned()
        }
        _ => error.to_string(),
    };
    ServerError::Listen { address, origin: origin.clone(), problem }
}
