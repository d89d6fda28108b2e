//! Which sound devices there are.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{Host, HostId};

use super::{Direction, system, within};
use crate::audio::{AudioError, DeviceId};

/// Longest wait for the list of devices. Sound servers answer in milliseconds; connecting alone may take 2 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// A microphone, or a speaker or headphones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioDeviceInfo {
    /// What to ask for it by; stays the same when it is unplugged and plugged in again.
    pub id: DeviceId,
    /// What its maker or the system calls it.
    pub name: String,
    /// Whether the system would use it when none is asked for.
    pub is_default: bool,
    /// The sound system it belongs to, for example `PulseAudio`.
    pub backend: String,
}

/// The devices that there are at the moment, the default one first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AudioDevices {
    /// Microphones.
    pub inputs: Vec<AudioDeviceInfo>,
    /// Speakers and headphones.
    pub outputs: Vec<AudioDeviceInfo>,
}

/// Lists microphones and speakers. Without any, the lists are empty.
///
/// # Errors
/// [`AudioError::NoSoundSystem`] if no sound system can be reached.
pub fn list_audio_devices() -> Result<AudioDevices, AudioError> {
    within(PATIENCE, || {
        system::hush();
        let host = connect(Line::Call, None)?;
        let infos = |direction| candidates(&host, direction).into_iter().map(|c| c.info).collect();
        Ok(AudioDevices { inputs: infos(Direction::Input), outputs: infos(Direction::Output) })
    })
}

/// A device that may be opened.
pub(super) struct Candidate {
    pub(super) device: cpal::Device,
    pub(super) info: AudioDeviceInfo,
}

/// A connection to the sound system. PulseAudio takes all that one of cpal's connections plays for parts of one thing, which
/// begin together at the same device, and refuses a second one that begins later as an invalid argument. So what is heard
/// beside a call needs a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Microphone and speaker of a call.
    Call,
    /// Ringing and the like.
    Chime,
}

/// The connections to the sound system. They are kept: each new connection to PulseAudio starts a thread that may never end.
static CALL: Mutex<Option<Arc<Host>>> = Mutex::new(None);
static CHIME: Mutex<Option<Arc<Host>>> = Mutex::new(None);

/// The sound system, of the kind `only` if that is given. A connection that has broken is made anew.
pub(super) fn connect(line: Line, only: Option<HostId>) -> Result<Arc<Host>, AudioError> {
    let kept = match line {
        Line::Call => &CALL,
        Line::Chime => &CHIME,
    };
    // The lock is held meanwhile, so that two devices opened at once share one connection. All this runs on threads that
    // nobody waits for without limit.
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let usable = |host: &Host| only.is_none_or(|id| host.id() == id) && host.devices().is_ok();
    if let Some(host) = kept.as_ref().filter(|host| usable(host)) {
        return Ok(Arc::clone(host));
    }
    *kept = None;
    let host = Arc::new(connect_anew(only)?);
    *kept = Some(Arc::clone(&host));
    Ok(host)
}

fn connect_anew(only: Option<HostId>) -> Result<Host, AudioError> {
    let mut detail = "there is none".to_owned();
    for id in system::hosts().into_iter().filter(|id| only.is_none_or(|only| *id == only)) {
        system::prepare(id);
        match cpal::host_from_id(id) {
            Ok(host) => return Ok(host),
            Err(e) => {
                tracing::info!("{} can't be used: {e}", id.name());
                detail = e.to_string();
            }
        }
    }
    Err(AudioError::NoSoundSystem { detail })
}

/// The id of a device without the name of the sound system.
fn local_id(device: &cpal::Device) -> Option<String> {
    device.id().ok().map(|id| id.id().to_owned())
}

/// Whether the device records or plays. ALSA's default is asked by opening it, because it exists on paper even where
/// there is no sound card.
fn supports(device: &cpal::Device, direction: Direction) -> bool {
    match direction {
        Direction::Input => device.supports_input(),
        Direction::Output => device.supports_output(),
    }
}

fn opens(device: &cpal::Device, direction: Direction) -> bool {
    match direction {
        Direction::Input => device.default_input_config().is_ok(),
        Direction::Output => device.default_output_config().is_ok(),
    }
}

/// All devices for people, the default one first.
pub(super) fn candidates(host: &Host, direction: Direction) -> Vec<Candidate> {
    let default = match direction {
        Direction::Input => host.default_input_device(),
        Direction::Output => host.default_output_device(),
    };
    let default_id = default.as_ref().and_then(local_id);
    let mut found: Vec<Candidate> = host
        .devices()
        .into_iter()
        .flatten()
        .filter(|device| supports(device, direction))
        .filter_map(|device| candidate(host, device, default_id.as_deref()))
        .filter(|c| system::is_for_people(host.id(), c.local_id(), direction))
        .filter(|c| !c.is_unspecific() || opens(&c.device, direction))
        .collect();
    // Some sound systems don't list their default device among the others.
    let listed = found.iter().any(|c| c.info.is_default);
    if let Some(device) = default.filter(|device| !listed && opens(device, direction))
        && let Some(c) = candidate(host, device, default_id.as_deref())
        && system::is_for_people(host.id(), c.local_id(), direction)
    {
        found.push(c);
    }
    let mut seen = HashSet::new();
    found.retain(|c| seen.insert(c.info.name.clone()) || !system::same_name_is_same_device(host.id()));
    found.sort_by_key(|c| !c.info.is_default);
    found
}

fn candidate(host: &Host, device: cpal::Device, default_id: Option<&str>) -> Option<Candidate> {
    let id = device.id().ok()?;
    let info = AudioDeviceInfo {
        id: DeviceId::new(id.to_string())?,
        name: device.to_string(),
        is_default: default_id == Some(id.id()),
        backend: host.id().name().to_owned(),
    };
    Some(Candidate { device, info })
}

impl Candidate {
    /// The id without the name of the sound system.
    fn local_id(&self) -> &str {
        self.info.id.as_str().split_once(':').map_or("", |(_, id)| id)
    }

    /// Names such as ALSA's `default` stand for whatever is behind them, which may be nothing.
    fn is_unspecific(&self) -> bool {
        !self.local_id().contains([':', '.'])
    }
}

/// Whether `wanted` names the device: its id, its id without the sound system, or its name.
fn names(wanted: &str, id: &str, name: &str) -> bool {
    let local = id.split_once(':').map_or(id, |(_, local)| local);
    wanted == id || wanted == local || wanted.to_lowercase() == name.to_lowercase()
}

/// The device that `wanted` names, or the default one.
///
/// # Errors
/// No such device; the text lists those that there are.
pub(super) fn find(
    host: &Host,
    direction: Direction,
    wanted: Option<&DeviceId>,
) -> Result<Candidate, AudioError> {
    let mut known = candidates(host, direction);
    let Some(wanted) = wanted else {
        return match (known.is_empty(), direction) {
            (false, _) => Ok(known.swap_remove(0)),
            (true, Direction::Input) => Err(AudioError::NoMicrophone),
            (true, Direction::Output) => Err(AudioError::NoSpeaker),
        };
    };
    // Devices that the list leaves out may still be asked for by their exact id.
    let hidden = host
        .devices()
        .into_iter()
        .flatten()
        .filter(|device| supports(device, direction))
        .filter_map(|device| candidate(host, device, None));
    let listed = names_of(&known);
    let mut all = known.drain(..).chain(hidden);
    all.find(|c| names(wanted.as_str(), c.info.id.as_str(), &c.info.name)).ok_or_else(|| {
        let id = wanted.to_string();
        match direction {
            Direction::Input => AudioError::UnknownMicrophone { id, available: listed },
            Direction::Output => AudioError::UnknownSpeaker { id, available: listed },
        }
    })
}

/// Whether the device with exactly this id is there. Where that can't be found out, it is taken to be.
pub(super) fn is_there(host: HostId, id: &DeviceId) -> bool {
    let Ok(devices) = connect(Line::Call, Some(host))
        .and_then(|host| host.devices().map_err(|e| AudioError::NoSoundSystem { detail: e.to_string() }))
    else {
        return true;
    };
    devices.filter_map(|device| device.id().ok()).any(|found| found.to_string() == id.as_str())
}

/// A sentence that lists the devices.
fn names_of(known: &[Candidate]) -> String {
    match known {
        [] => "None was found at all: plug one in.".to_owned(),
        _ => {
            let names: Vec<String> =
                known.iter().map(|c| format!("{} ({})", c.info.id, c.info.name)).collect();
            format!("Choose one of: {}.", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_its_id_with_or_without_the_sound_system_or_by_its_name() {
        let named = |wanted| names(wanted, "pulseaudio:alsa_input.usb", "Blue Yeti");
        assert!(named("pulseaudio:alsa_input.usb") && named("alsa_input.usb") && named("blue yeti"));
        assert!(!named("alsa_input") && !named("Yeti") && !named(""));
    }
}
