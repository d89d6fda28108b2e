//! Calls that are hosted on computers of the same network, found by multicast DNS (RFC 6762) and DNS-based service discovery
//! (RFC 6763), as `_ahoy._tcp`.
//!
//! Whoever finds a call has its link, but the link's guests wait until the host lets them in: what is announced to a whole
//! network is no secret. The announcement is not believed either: the fingerprint in it only says that everybody who comes by
//! it comes to the same server.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ahoy_signal::{Name, RoomId};
use ahoy_signal_client::{InviteLink, PlainHttp};
use mdns_sd::{IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use serde::Serialize;
use tokio::sync::watch;

/// The type of service.
const SERVICE: &str = "_ahoy._tcp.local.";
/// The port of multicast DNS (RFC 6762 section 1).
const PORT: u16 = 5353;
/// Keys of the TXT record: the version of this list, who hosts, the room, and the link's secret in pieces, since a string of a
/// record has 255 bytes at most (RFC 6763 section 6.1).
const VERSION: &str = "v";
const NAME: &str = "name";
const ROOM: &str = "room";
const SECRET: &str = "s";
const PIECE: usize = 200;
const PIECES_MOST: usize = 8;
/// Calls that are shown at most: anybody on the network can announce as many as they like.
const SHOWN_MOST: usize = 32;

/// Why calls can't be announced or found.
#[derive(Debug, thiserror::Error)]
#[error("calls on this network can't be found or announced: {0}")]
pub struct NearbyError(#[from] mdns_sd::Error);

/// Which networks are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// All that this machine is in.
    #[default]
    All,
    /// This machine itself, at another port than the system's: for tests.
    Loopback(u16),
    /// None: calls are neither announced nor found.
    Off,
}

/// Reads `all`, `off` or `loopback:PORT`.
impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        match text {
            "all" => Ok(Self::All),
            "off" => Ok(Self::Off),
            _ => {
                let port = text.strip_prefix("loopback:").and_then(|port| port.parse().ok());
                port.map(Self::Loopback).ok_or(NoNetwork)
            }
        }
    }
}

/// A text that names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the networks to look for calls in are `all`, `off` or, for tests, `loopback:PORT`")]
pub struct NoNetwork;

impl Network {
    /// `None` where nothing is asked or told.
    fn open(self) -> Result<Option<ServiceDaemon>, NearbyError> {
        match self {
            Self::All => Ok(Some(ServiceDaemon::new_with_port(PORT)?)),
            Self::Loopback(port) => {
                let daemon = ServiceDaemon::new_with_port(port)?;
                daemon.disable_interface(IfKind::All)?;
                daemon.enable_interface(IfKind::LoopbackV4)?;
                Ok(Some(daemon))
            }
            Self::Off => Ok(None),
        }
    }
}

/// A call that one's computer hosts, told to the network until this is dropped.
pub struct Announcement {
    daemon: Option<ServiceDaemon>,
}

impl std::fmt::Debug for Announcement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Announcement")
    }
}

impl Announcement {
    /// Announces a call by its link, under the name of who hosts it.
    ///
    /// # Errors
    /// [`NearbyError`].
    pub fn start(network: Network, name: &Name, link: &InviteLink, port: u16) -> Result<Self, NearbyError> {
        let Some(daemon) = network.open()? else { return Ok(Self { daemon: None }) };
        let secret = match link.pin {
            Some(pin) => InviteLink::pinned(link.token.as_str(), pin),
            None => link.token.as_str().to_owned(),
        };
        let mut properties = vec![(VERSION.to_owned(), "1".to_owned()), (NAME.to_owned(), name.to_string())];
        properties.push((ROOM.to_owned(), link.room.to_string()));
        let pieces = secret.as_bytes().chunks(PIECE).map(|piece| String::from_utf8_lossy(piece).into_owned());
        properties.extend(pieces.enumerate().map(|(at, piece)| (format!("{SECRET}{at}"), piece)));
        // No two rooms are called alike, so no two announcements are.
        let (instance, host) = (link.room.to_string(), format!("{}.local.", link.room));
        let service = match network {
            Network::Loopback(_) => {
                ServiceInfo::new(SERVICE, &instance, &host, "127.0.0.1", port, &properties[..])?
            }
            Network::All | Network::Off => {
                ServiceInfo::new(SERVICE, &instance, &host, "", port, &properties[..])?.enable_addr_auto()
            }
        };
        daemon.register(service)?;
        Ok(Self { daemon: Some(daemon) })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Says good-bye on the network; a daemon that is gone already has said so.
        let _ = self.daemon.take().map(|daemon| daemon.shutdown());
    }
}

/// A call that somebody on the network hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct NearbyCall {
    /// Who says to host it.
    pub name: String,
    /// Leads there.
    pub link: String,
}

/// Looks for calls on the network until this is dropped.
pub struct Nearby {
    daemon: Option<ServiceDaemon>,
    calls: watch::Receiver<Vec<NearbyCall>>,
}

impl std::fmt::Debug for Nearby {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nearby({} calls)", self.calls.borrow().len())
    }
}

impl Nearby {
    /// Begins to look. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`NearbyError`].
    pub fn start(network: Network) -> Result<Self, NearbyError> {
        let daemon = network.open()?;
        let (told, calls) = watch::channel(Vec::new());
        if let Some(daemon) = &daemon {
            tokio::spawn(look(daemon.browse(SERVICE)?, told));
        }
        Ok(Self { daemon, calls })
    }

    /// What is there, in the order of the hosts' names.
    pub fn calls(&self) -> watch::Receiver<Vec<NearbyCall>> {
        self.calls.clone()
    }
}

impl Drop for Nearby {
    fn drop(&mut self) {
        // A daemon that is gone already looks for nothing.
        let _ = self.daemon.take().map(|daemon| daemon.shutdown());
    }
}

async fn look(events: Receiver<ServiceEvent>, told: watch::Sender<Vec<NearbyCall>>) {
    let mut found = BTreeMap::new();
    while let Ok(event) = events.recv_async().await {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                if found.len() < SHOWN_MOST || found.contains_key(&service.fullname) {
                    match read(&service) {
                        Some(call) => drop(found.insert(service.fullname.clone(), call)),
                        None => drop(found.remove(&service.fullname)),
                    }
                }
            }
            ServiceEvent::ServiceRemoved(_, fullname) => drop(found.remove(&fullname)),
            // Nothing to be seen yet, or nothing more.
            _ => continue,
        }
        let mut calls: Vec<NearbyCall> = found.values().cloned().collect();
        calls.sort_by(|a, b| (&a.name, &a.link).cmp(&(&b.name, &b.link)));
        told.send_if_modified(|known| {
            let news = *known != calls;
            *known = calls;
            news
        });
    }
}

/// The call that an announcement tells of; `None` for what is none, or of another version.
fn read(service: &ResolvedService) -> Option<NearbyCall> {
    let property = |key: &str| service.txt_properties.get_property_val_str(key);
    if property(VERSION)? != "1" {
        return None;
    }
    let name = Name::new(property(NAME)?).ok()?;
    let room: RoomId = property(ROOM)?.parse().ok()?;
    let pieces = (0..PIECES_MOST).map_while(|at| property(&format!("{SECRET}{at}")));
    let secret: String = pieces.collect();
    let mut addresses: Vec<IpAddr> = service.addresses.iter().map(|address| address.to_ip_addr()).collect();
    // Where there are several, the one that links can hold without a zone.
    addresses.sort_by_key(|address| (address.is_ipv6(), *address));
    let server = SocketAddr::from((*addresses.first()?, service.port));
    let link = format!("https://{server}/join/{room}#{secret}");
    InviteLink::parse(&link, PlainHttp::LoopbackOnly).ok().filter(|link| link.pin.is_some())?;
    Some(NearbyCall { name: name.to_string(), link })
}

#[cfg(test)]
mod tests {
    use ahoy_signal_client::Fingerprint;

    use super::*;

    /// A port that no other test uses at this time.
    fn network() -> Network {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        Network::Loopback(socket.local_addr().unwrap().port())
    }

    fn link() -> InviteLink {
        // As long as a real one.
        let token = "eyJ0eXAiOiJpbnZpdGUrand0IiwiYWxnIjoiRWREU0EifQ.".repeat(9);
        let room = RoomId::from_bits(rand::random());
        let text = format!("https://127.0.0.1:7447/join/{room}#{token}");
        let text = InviteLink::pinned(&text, Fingerprint::of(b"a certificate"));
        InviteLink::parse(&text, PlainHttp::LoopbackOnly).unwrap()
    }

    #[tokio::test]
    async fn a_call_that_is_announced_is_found_whole_and_is_gone_when_it_ends() {
        let network = network();
        let nearby = Nearby::start(network).unwrap();
        let mut calls = nearby.calls();
        let link = link();
        let name = Name::new("Ada’s study").unwrap();
        let announcement = Announcement::start(network, &name, &link, 7447).unwrap();
        let found = calls.wait_for(|calls| !calls.is_empty()).await.unwrap()[0].clone();
        assert_eq!(found.name, "Ada’s study");
        assert_eq!(InviteLink::parse(&found.link, PlainHttp::LoopbackOnly).unwrap(), link);
        drop(announcement);
        calls.wait_for(Vec::is_empty).await.unwrap();
    }

    #[test]
    fn networks_are_read_as_they_are_written() {
        for (text, network) in
            [("all", Network::All), ("off", Network::Off), ("loopback:5454", Network::Loopback(5454))]
        {
            assert_eq!(text.parse(), Ok(network));
        }
        for bad in ["", "loopback", "loopback:x", "loopback:70000", "eth0"] {
            assert_eq!(bad.parse::<Network>(), Err(NoNetwork), "{bad}");
        }
    }

    fn service(properties: &[(&str, &str)]) -> ResolvedService {
        let info = ServiceInfo::new(SERVICE, "x", "x.local.", "192.0.2.7", 7447, properties).unwrap();
        info.as_resolved_service()
    }

    #[test]
    fn announcements_that_make_no_sense_are_none() {
        let room = RoomId::from_bits(5).to_string();
        let secret = InviteLink::pinned("eyJhbGciOi", Fingerprint::of(b"a certificate"));
        let good = [("v", "1"), ("name", "Ada"), ("room", &room), ("s0", &secret)];
        let call = read(&service(&good)).expect("a good one");
        assert_eq!(call.link, format!("https://192.0.2.7:7447/join/{room}#{secret}"));
        let without = |key: &str| good.into_iter().filter(|(name, _)| *name != key).collect::<Vec<_>>();
        for key in ["v", "name", "room", "s0"] {
            assert_eq!(read(&service(&without(key))), None, "without {key}");
        }
        for (key, value) in [("v", "2"), ("name", ""), ("room", "x"), ("s0", "eyJhbGciOi")] {
            let mut bad = without(key);
            bad.push((key, value));
            assert_eq!(read(&service(&bad)), None, "{key} {value}");
        }
    }
}
