//! What a PulseAudio server, or PipeWire in its place, tells of its devices.

use std::env;
use std::fs;
use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use pulseaudio::protocol::{
    self, AuthParams, AuthReply, Command, Prop, Props, ProtocolError, SetClientNameReply, SubscriptionEvent,
    SubscriptionEventFacility, SubscriptionEventType, SubscriptionMask,
};

/// Longest wait for a server's answer, which takes less than a millisecond: one that hangs must not keep the watch from
/// ending.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a server does not tell.
#[derive(Debug, thiserror::Error)]
pub(super) enum PulseError {
    #[error("there is no server")]
    NoServer,
    #[error("the server can't be reached ({0})")]
    Io(#[from] std::io::Error),
    #[error("the server does not answer as expected ({0})")]
    Protocol(#[from] ProtocolError),
}

/// A connection on which the server tells when devices come or go.
pub(super) struct Subscription {
    socket: BufReader<UnixStream>,
    version: u16,
}

impl Subscription {
    pub(super) fn new() -> Result<Self, PulseError> {
        let path = pulseaudio::socket_path_from_env().ok_or(PulseError::NoServer)?;
        crate::audio::ensure_pulse_cookie();
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut this = Self { socket: BufReader::new(stream), version: protocol::MAX_VERSION };
        let cookie =
            pulseaudio::cookie_path_from_env().and_then(|path| fs::read(path).ok()).unwrap_or_default();
        let version = protocol::MAX_VERSION;
        this.say(
            0,
            Command::Auth(AuthParams { version, supports_shm: false, supports_memfd: false, cookie }),
        )?;
        let (_, reply) = protocol::read_reply_message::<AuthReply>(&mut this.socket, version)?;
        this.version = version.min(reply.version);
        let mut about = Props::new();
        about.set(Prop::ApplicationName, c"Ahoy");
        this.say(1, Command::SetClientName(about))?;
        protocol::read_reply_message::<SetClientNameReply>(&mut this.socket, this.version)?;
        let devices = SubscriptionMask::SINK | SubscriptionMask::SOURCE | SubscriptionMask::SERVER;
        this.say(2, Command::Subscribe(devices))?;
        protocol::read_ack_message(&mut this.socket)?;
        Ok(this)
    }

    fn say(&mut self, number: u32, command: Command) -> Result<(), ProtocolError> {
        protocol::write_command_message(self.socket.get_mut(), number, &command, self.version)
    }

    /// Readable when the server has something to tell.
    pub(super) fn socket(&self) -> &UnixStream {
        self.socket.get_ref()
    }

    /// Reads what the server tells; returns whether devices have come or gone.
    pub(super) fn read(&mut self) -> Result<bool, PulseError> {
        let mut change = false;
        loop {
            let (_, told) = protocol::read_command_message(&mut self.socket, self.version)?;
            change |= matches!(told, Command::SubscribeEvent(event) if is_change(event));
            if self.socket.buffer().is_empty() {
                return Ok(change);
            }
        }
    }
}

/// Devices also tell of each change of their volume, and the server only of another default device.
fn is_change(SubscriptionEvent { event_facility: about, event_type, .. }: SubscriptionEvent) -> bool {
    about == SubscriptionEventFacility::Server || event_type != SubscriptionEventType::Changed
}

/// Where a server makes its socket.
pub(super) fn folders() -> Vec<PathBuf> {
    let named = env::var("PULSE_SERVER").ok();
    let named = named.as_deref().and_then(|server| server.strip_prefix("unix:")).map(PathBuf::from);
    let runtime = ["PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR"].map(|name| env::var_os(name).map(PathBuf::from));
    let usual = runtime.into_iter().flatten().map(|folder| folder.join("pulse"));
    named.and_then(|socket| Some(socket.parent()?.to_owned())).into_iter().chain(usual).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_come_or_go_and_another_default_count_and_volumes_do_not() {
        let event =
            |event_facility, event_type| SubscriptionEvent { event_facility, event_type, index: Some(1) };
        let (sink, server) = (SubscriptionEventFacility::Sink, SubscriptionEventFacility::Server);
        assert!(is_change(event(sink, SubscriptionEventType::New)));
        assert!(is_change(event(sink, SubscriptionEventType::Removed)));
        assert!(!is_change(event(sink, SubscriptionEventType::Changed)));
        assert!(is_change(event(server, SubscriptionEventType::Changed)));
    }
}
