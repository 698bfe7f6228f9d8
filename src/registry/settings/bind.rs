use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use super::flags::Flags;
use super::layers::{Layers, flag};
use super::{Origin, Setting, SettingsError, Tls};

/// Trow's port without TLS, and of all its later generations.
const PORT: u16 = 8000;
/// The port of Trow before 0.6 with TLS.
const OLD_TLS_PORT: u16 = 8443;

/// Resolves the addresses to listen on.
pub(super) fn resolve(
    flags: &Flags,
    layers: &Layers,
    tls: &Tls,
) -> Result<Setting<Vec<SocketAddr>>, SettingsError> {
    let old_port = if *tls == Tls::Off { PORT } else { OLD_TLS_PORT };
    let (host, port) = (flags.old.host.as_deref(), flags.old.port.as_deref());
    if host.is_some() || port.is_some() {
        let origin = Origin::Flag(if host.is_some() { "--host" } else { "--port" });
        let value =
            old_addresses(host.unwrap_or("0.0.0.0"), port, old_port).map_err(|problem| {
                SettingsError::Value { setting: "bind", origin: origin.clone(), problem }
            })?;
        return Ok(Setting { value, origin });
    }
    let typed = (!flags.bind.is_empty()).then(|| flags.bind.join(","));
    let given = layers.parsed("bind", flag("--bind", typed.as_deref()), addresses)?;
    Ok(given.unwrap_or_else(|| {
        Setting::built_in(vec![if flags.is_old() {
            SocketAddr::from(([0, 0, 0, 0], old_port))
        } else {
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT))
        }])
    }))
}

/// Reads a comma list of IP or IP:PORT.
fn addresses(text: &str) -> Result<Vec<SocketAddr>, String> {
    let mut addresses = Vec::new();
    for item in text.split(',').map(str::trim) {
        let address = address(item).ok_or_else(|| {
            format!("{item:?} is no address: write IP or IP:PORT, as in 0.0.0.0:8000 or [::]:8000")
        })?;
        if !addresses.contains(&address) || address.port() == 0 {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.parse().ok().or_else(|| bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT)))
}

/// A host may be a name with several addresses.
fn old_addresses(
    host: &str,
    port: Option<&str>,
    default_port: u16,
) -> Result<Vec<SocketAddr>, String> {
    let port = match port {
        None => default_port,
        Some(port) => {
            port.parse().map_err(|_| format!("{port:?} is no port: 0 to 65535 are possible"))?
        }
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut addresses: Vec<SocketAddr> = (bare, port)
        .to_socket_addrs()
        .map_err(|error| format!("the host {host:?} has no address: {error}"))?
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}
