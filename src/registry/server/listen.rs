use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

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
    listen_by(bind, |address| std::future::ready(open(address))).await
}

/// Connections that wait to be taken. With few places a crowd of clients is
/// told nothing and comes back after seconds; the system caps the number.
const BACKLOG: u32 = 4096;

fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As every server does it: a restart takes its port back at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The same by a function that stands in for the system in tests.
async fn listen_by<F>(
    bind: &Setting<Vec<SocketAddr>>,
    open: impl Fn(SocketAddr) -> F,
) -> Result<Vec<TcpListener>, ServerError>
where
    F: Future<Output = std::io::Result<TcpListener>>,
{
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
        match open(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse && covered(&listeners, address) => {}
            Err(error) if is_without_ipv6(address, &error) => {
                // Where `0.0.0.0` was asked for as well it comes in its turn.
                let fallback = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
                if fallback.port() != 0 && bind.value.contains(&fallback) {
                    tracing::warn!(%address, "this system has no IPv6; going on without");
                    continue;
                }
                tracing::warn!(%address, %fallback, "this system has no IPv6; listening on IPv4");
                let listener = open(fallback)
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::Error;

    use super::*;

    /// What a system without IPv6 was asked for and gave, and what came of it.
    async fn without_ipv6(bind: &[&str]) -> (Vec<String>, Result<usize, String>) {
        let given = RefCell::new(Vec::new());
        let open = |address: SocketAddr| {
            let outcome = if address.is_ipv6() {
                Err(Error::from_raw_os_error(97))
            } else if given.borrow().contains(&address.to_string()) {
                Err(ErrorKind::AddrInUse.into())
            } else {
                given.borrow_mut().push(address.to_string());
                Ok(())
            };
            async move {
                outcome?;
                TcpListener::bind("127.0.0.1:0").await
            }
        };
        let addresses = bind.iter().map(|address| address.parse().unwrap()).collect();
        let listeners = listen_by(&Setting::built_in(addresses), open).await;
        let listeners = listeners.map(|all| all.len()).map_err(|error| error.to_string());
        (given.into_inner(), listeners)
    }

    #[tokio::test]
    async fn without_ipv6_the_wildcard_is_that_of_ipv4_once() {
        for bind in [
            &["[::]:8000"][..],
            &["[::]:8000", "0.0.0.0:8000"],
            &["0.0.0.0:8000", "[::]:8000"],
            &["[::1]:8000", "0.0.0.0:8000"],
        ] {
            let (given, listeners) = without_ipv6(bind).await;
            assert_eq!((given, listeners), (vec!["0.0.0.0:8000".to_owned()], Ok(1)), "{bind:?}");
        }
        let (_, listeners) = without_ipv6(&["[2001:db8::1]:8000"]).await;
        assert!(listeners.unwrap_err().starts_with("cannot listen on [2001:db8::1]:8000"));
    }
}
