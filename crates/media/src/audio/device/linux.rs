//! Linux: PulseAudio (or PipeWire in its place) where a server answers, else ALSA.
//!
//! PulseAudio first, because a round trip through ALSA's plugin for it takes two to three times as long, and because its
//! list of devices is the one that users know from their settings.

use cpal::HostId;

use super::{Direction, pulse_cookie};

/// The sound systems to try, best first.
pub(super) fn hosts() -> Vec<HostId> {
    [HostId::PulseAudio, HostId::Alsa].into_iter().filter(|id| cpal::available_hosts().contains(id)).collect()
}

/// Does what a sound system expects before it is connected to.
pub(super) fn prepare(host: HostId) {
    if host == HostId::PulseAudio {
        pulse_cookie::ensure();
    }
}

/// Keeps alsa-lib from writing its complaints about devices that aren't there to our standard error, in this thread.
pub(super) fn hush() {
    // The handler stays installed in this thread and collects the text. On failure alsa-lib goes on writing: harmless.
    let _ = alsa::Output::local_error_handler();
}

/// Whether a device is one that a person would choose: plugged in, or made by a person.
pub(super) fn is_for_people(host: HostId, id: &str, direction: Direction) -> bool {
    match (host, direction) {
        // What a speaker plays is no microphone, but PulseAudio makes it the default one where there is no other.
        (HostId::PulseAudio, Direction::Input) => !id.ends_with(".monitor"),
        // PulseAudio's stand-in where there is no sound card.
        (HostId::PulseAudio, Direction::Output) => id != "auto_null",
        // Of ALSA's dozens of names for each card the one that converts formats, and what users have defined.
        (HostId::Alsa, _) => match id.split_once(':') {
            Some((plugin, _)) => plugin == "plughw",
            None => !ALSA_PLUGINS.contains(&id),
        },
    }
}

/// Names that alsa-lib's own configuration always defines; users' own are not among them.
const ALSA_PLUGINS: [&str; 14] = [
    "null",
    "lavrate",
    "samplerate",
    "samplerate_best",
    "samplerate_medium",
    "samplerate_order",
    "samplerate_linear",
    "speexrate",
    "speexrate_medium",
    "speexrate_best",
    "jack",
    "oss",
    "speex",
    "upmix",
];

/// Whether devices of the same name are one device: ALSA lists cards both by number and by name.
pub(super) fn same_name_is_same_device(host: HostId) -> bool {
    host == HostId::Alsa
}

/// Whether the sound system moves streams to another device when theirs is unplugged, without a word. PulseAudio moves a
/// microphone's stream to what the speaker plays if there is no other microphone, and the others then hear themselves.
pub(super) fn moves_streams(host: HostId) -> bool {
    host == HostId::PulseAudio
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_stand_ins_and_plumbing_are_not_for_people() {
        let yes = |host, id, direction| assert!(is_for_people(host, id, direction), "{id}");
        let no = |host, id, direction| assert!(!is_for_people(host, id, direction), "{id}");
        yes(HostId::PulseAudio, "alsa_input.usb-mic", Direction::Input);
        no(HostId::PulseAudio, "alsa_output.pci.monitor", Direction::Input);
        yes(HostId::PulseAudio, "alsa_output.pci", Direction::Output);
        no(HostId::PulseAudio, "auto_null", Direction::Output);
        yes(HostId::Alsa, "default", Direction::Input);
        yes(HostId::Alsa, "my_own_plugin", Direction::Output);
        yes(HostId::Alsa, "plughw:CARD=Loopback,DEV=0", Direction::Output);
        for id in ["null", "upmix", "hw:CARD=PCH,DEV=0", "surround51:CARD=PCH,DEV=0"] {
            no(HostId::Alsa, id, Direction::Output);
        }
    }
}
