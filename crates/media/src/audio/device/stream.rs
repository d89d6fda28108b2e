//! Opening of devices, and the real-time callbacks. What runs in them must not lock, allocate, log or panic: they move
//! samples through a ring, leave a mark with the time, and wake a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::Thread;
use std::time::Duration;

use ahoy_media_types::{MediaClock, MediaTime, SAMPLE_RATE};
use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{
    BufferSize, ErrorKind, FromSample, HostId, InputCallbackInfo, OutputCallbackInfo, Sample, SampleFormat,
    SizedSample, StreamConfig, SupportedBufferSize, SupportedStreamConfigRange,
};
use rtrb::{Consumer, Producer, RingBuffer};

use super::find::Line;
use super::find::{Candidate, connect, find};
use super::{Direction, in_background, system};
use crate::audio::{AudioError, DeviceId, MAX_RATE, MIN_RATE};

/// How much sound the ring between callback and thread holds. When it is full, the newest sound from a microphone is
/// lost; a speaker's thread never fills it. Half a second is far more than any thread is kept from running.
const RING: Duration = Duration::from_millis(500);
/// How many callbacks may pass before their thread looks at them. When they are full, the newest mark is lost, which the
/// thread notices by nothing worse than a jump in time; at 1 ms a callback they last longer than the samples.
const MARKS: usize = 1024;
/// Times between callbacks, the next one tried where one is refused. `BufferSize::Default` is never
/// used: some sound systems then buffer for two seconds.
const PERIODS_MS: [u32; 4] = [10, 20, 5, 40];
/// A sound server may take a moment to let go of a device; one that hangs must not keep the call from ending.
const CLOSING: Duration = Duration::from_secs(1);
/// Latencies beyond this are what drivers report by mistake.
const MAX_LATENCY: Duration = Duration::from_millis(500);

/// What a callback leaves for the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// When the callback ran.
    pub(super) at: MediaTime,
    /// Input: age of its first sample. Output: time until its first sample will be heard.
    pub(super) latency: Duration,
    /// Frames that the device gave or wanted.
    pub(super) frames: usize,
    /// Frames that went through the ring.
    pub(super) moved: usize,
}

/// Why a stream has ended, set by its error callback.
#[derive(Debug, Default)]
pub(super) struct Fault(AtomicU8);

impl Fault {
    const DISCONNECTED: u8 = 1;
    const BUSY: u8 = 2;
    const DENIED: u8 = 3;
    const OTHER: u8 = 4;

    /// Notes what the sound system reports. Glitches, and a change of device that the system has already handled, end
    /// nothing.
    fn report(&self, error: &cpal::Error) {
        let code = match error.kind() {
            ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => return,
            ErrorKind::DeviceNotAvailable | ErrorKind::StreamInvalidated | ErrorKind::HostUnavailable => {
                Self::DISCONNECTED
            }
            ErrorKind::DeviceBusy => Self::BUSY,
            ErrorKind::PermissionDenied => Self::DENIED,
            _ => Self::OTHER,
        };
        self.0.store(code, Ordering::Release);
    }

    /// Why the stream on `device` has ended, if it has.
    pub(super) fn reason(&self, device: &str) -> Option<AudioError> {
        let device = device.to_owned();
        match self.0.load(Ordering::Acquire) {
            0 => None,
            Self::BUSY => Some(AudioError::Busy { device }),
            Self::DENIED => Some(AudioError::Denied { device }),
            Self::DISCONNECTED => Some(AudioError::Disconnected { device }),
            _ => Some(AudioError::Stalled { device }),
        }
    }
}

fn open_error(device: &str, error: &cpal::Error) -> AudioError {
    let device = device.to_owned();
    match error.kind() {
        ErrorKind::DeviceBusy => AudioError::Busy { device },
        ErrorKind::PermissionDenied => AudioError::Denied { device },
        ErrorKind::DeviceNotAvailable => AudioError::Disconnected { device },
        ErrorKind::UnsupportedConfig | ErrorKind::UnsupportedOperation => {
            AudioError::Unsupported { device, detail: error.to_string() }
        }
        _ => AudioError::Device { device, detail: error.to_string() },
    }
}

/// A running stream between a device and a ring of mono samples at the device's rate.
pub(super) struct Open<Ring> {
    /// What the user knows the device by.
    pub(super) name: String,
    /// The device's id.
    pub(super) id: DeviceId,
    /// The sound system that the device belongs to.
    pub(super) host: HostId,
    /// Frames per second of the device.
    pub(super) rate: u32,
    /// The ring.
    pub(super) ring: Ring,
    /// One for each callback, in order; on input after its samples, so what it says moved can be taken.
    pub(super) marks: Consumer<Mark>,
    /// Set when the stream has ended.
    pub(super) fault: Arc<Fault>,
    stream: Option<cpal::Stream>,
}

impl<Ring> Drop for Open<Ring> {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take()
            && let Ok(closed) = in_background(move || drop(stream))
            && closed.recv_timeout(CLOSING).is_err()
        {
            tracing::warn!("{} is not let go of by the sound system", self.name);
        }
    }
}

/// What to open.
#[derive(Clone)]
pub(super) struct Wish {
    /// The connection to the sound system that it goes through.
    pub(super) line: Line,
    /// The device; the default one without an id.
    pub(super) id: Option<DeviceId>,
    /// The sound system to stay with, so that a server that restarts is waited for instead of by-passed.
    pub(super) host: Option<HostId>,
    /// Whether the default device will do where `id` can't be had.
    pub(super) or_default: bool,
    /// The call's clock.
    pub(super) clock: MediaClock,
    /// The thread to wake by the callbacks. Unparking takes no lock and is at most one system call, which does not
    /// wait; it lets the thread run at once, where short timed waits would add half their length.
    pub(super) thread: Thread,
}

/// How a device will be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format {
    channels: u16,
    rate: u32,
    sample: SampleFormat,
    periods: SupportedBufferSize,
}

impl Format {
    /// Period sizes to try, in frames, best first.
    fn periods(&self) -> Vec<u32> {
        let (least, most) = match self.periods {
            SupportedBufferSize::Range { min, max } => (min, max.max(min)),
            SupportedBufferSize::Unknown => (1, u32::MAX),
        };
        let mut sizes: Vec<u32> =
            PERIODS_MS.iter().map(|ms| (self.rate * ms / 1000).clamp(least, most)).collect();
        sizes.dedup();
        sizes
    }
}

/// Lower is better, among the sample formats that can be converted; `None` for the others.
fn format_cost(format: SampleFormat) -> Option<u32> {
    match format {
        SampleFormat::F32 => Some(0),
        SampleFormat::I32 => Some(1),
        SampleFormat::I24 => Some(2),
        SampleFormat::I16 => Some(3),
        SampleFormat::F64 => Some(4),
        SampleFormat::U32 => Some(5),
        SampleFormat::U24 => Some(6),
        SampleFormat::U16 => Some(7),
        SampleFormat::I8 => Some(8),
        SampleFormat::U8 => Some(9),
        _ => None,
    }
}

/// The best way to use a device: first the rate (48 kHz if it can, else the nearest), then the channels (of a microphone
/// one, of a speaker two: what the sound system then mixes, it mixes best), then the samples.
fn choose(offers: impl Iterator<Item = SupportedStreamConfigRange>, direction: Direction) -> Option<Format> {
    let ranked = offers.filter_map(|offer| {
        let (slowest, fastest) =
            (offer.min_sample_rate().max(MIN_RATE), offer.max_sample_rate().min(MAX_RATE));
        if slowest > fastest || offer.channels() == 0 {
            return None;
        }
        let rate = SAMPLE_RATE.clamp(slowest, fastest);
        let channels = match (direction, offer.channels()) {
            (Direction::Output, 2) => 0,
            (_, channels) => channels,
        };
        let cost = (rate.abs_diff(SAMPLE_RATE), channels, format_cost(offer.sample_format())?);
        let format = Format {
            channels: offer.channels(),
            rate,
            sample: offer.sample_format(),
            periods: *offer.buffer_size(),
        };
        Some((cost, format))
    });
    ranked.min_by_key(|(cost, _)| *cost).map(|(_, format)| format)
}

/// Opens a microphone.
pub(super) fn open_input(wish: &Wish) -> Result<Open<Consumer<f32>>, AudioError> {
    open(wish, Direction::Input, |device, config, format, link, wish| {
        let (samples, ring) = RingBuffer::new(ring_frames(config.sample_rate));
        let stream = match format {
            SampleFormat::I8 => record::<i8>(device, config, samples, link, wish),
            SampleFormat::I16 => record::<i16>(device, config, samples, link, wish),
            SampleFormat::I24 => record::<cpal::I24>(device, config, samples, link, wish),
            SampleFormat::I32 => record::<i32>(device, config, samples, link, wish),
            SampleFormat::U8 => record::<u8>(device, config, samples, link, wish),
            SampleFormat::U16 => record::<u16>(device, config, samples, link, wish),
            SampleFormat::U24 => record::<cpal::U24>(device, config, samples, link, wish),
            SampleFormat::U32 => record::<u32>(device, config, samples, link, wish),
            SampleFormat::F64 => record::<f64>(device, config, samples, link, wish),
            _ => record::<f32>(device, config, samples, link, wish),
        };
        Ok((stream?, ring))
    })
}

/// Opens a speaker.
pub(super) fn open_output(wish: &Wish) -> Result<Open<Producer<f32>>, AudioError> {
    open(wish, Direction::Output, |device, config, format, link, wish| {
        let (ring, samples) = RingBuffer::new(ring_frames(config.sample_rate));
        let stream = match format {
            SampleFormat::I8 => play::<i8>(device, config, samples, link, wish),
            SampleFormat::I16 => play::<i16>(device, config, samples, link, wish),
            SampleFormat::I24 => play::<cpal::I24>(device, config, samples, link, wish),
            SampleFormat::I32 => play::<i32>(device, config, samples, link, wish),
            SampleFormat::U8 => play::<u8>(device, config, samples, link, wish),
            SampleFormat::U16 => play::<u16>(device, config, samples, link, wish),
            SampleFormat::U24 => play::<cpal::U24>(device, config, samples, link, wish),
            SampleFormat::U32 => play::<u32>(device, config, samples, link, wish),
            SampleFormat::F64 => play::<f64>(device, config, samples, link, wish),
            _ => play::<f32>(device, config, samples, link, wish),
        };
        Ok((stream?, ring))
    })
}

fn ring_frames(rate: u32) -> usize {
    (RING.as_secs_f64() * f64::from(rate)) as usize
}

/// The callbacks' ends of what connects them to the thread.
struct Link {
    marks: Producer<Mark>,
    fault: Arc<Fault>,
}

type Built<Ring> = Result<(cpal::Stream, Ring), cpal::Error>;

fn open<Ring>(
    wish: &Wish,
    direction: Direction,
    build: impl Fn(&cpal::Device, StreamConfig, SampleFormat, Link, &Wish) -> Built<Ring>,
) -> Result<Open<Ring>, AudioError> {
    system::hush();
    let host = connect(wish.line, wish.host)?;
    let attempt =
        |id| find(&host, direction, id).and_then(|c| open_device(c, host.id(), direction, wish, &build));
    match attempt(wish.id.as_ref()) {
        Err(_) if wish.or_default && wish.id.is_some() => attempt(None),
        result => result,
    }
}

fn open_device<Ring>(
    candidate: Candidate,
    host: HostId,
    direction: Direction,
    wish: &Wish,
    build: &impl Fn(&cpal::Device, StreamConfig, SampleFormat, Link, &Wish) -> Built<Ring>,
) -> Result<Open<Ring>, AudioError> {
    let Candidate { device, info } = candidate;
    let (name, id) = (info.name, info.id);
    let failed = |e: cpal::Error| open_error(&name, &e);
    let format = match direction {
        Direction::Input => choose(device.supported_input_configs().map_err(failed)?, direction),
        Direction::Output => choose(device.supported_output_configs().map_err(failed)?, direction),
    };
    let format = format.ok_or_else(|| AudioError::Unsupported {
        device: name.clone(),
        detail: "it offers no format that can be converted".to_owned(),
    })?;
    let mut refusal = cpal::Error::new(ErrorKind::UnsupportedConfig);
    for period in format.periods() {
        let config = StreamConfig {
            channels: format.channels,
            sample_rate: format.rate,
            buffer_size: BufferSize::Fixed(period),
        };
        let (marks, marked) = RingBuffer::new(MARKS);
        let fault = Arc::new(Fault::default());
        let link = Link { marks, fault: Arc::clone(&fault) };
        match build(&device, config, format.sample, link, wish) {
            Ok((stream, ring)) => {
                // From here on a stream that fails to play is closed by being dropped.
                let open = Open {
                    name,
                    id,
                    host,
                    rate: format.rate,
                    ring,
                    marks: marked,
                    fault,
                    stream: Some(stream),
                };
                open.stream
                    .as_ref()
                    .map_or(Ok(()), StreamTrait::play)
                    .map_err(|e| open_error(&open.name, &e))?;
                tracing::debug!(?format, period, "opened {}", open.name);
                return Ok(open);
            }
            Err(e) if e.kind() == ErrorKind::UnsupportedConfig => refusal = e,
            Err(e) => return Err(failed(e)),
        }
    }
    Err(failed(refusal))
}

/// Builds a stream whose callback puts the mean of the channels into the ring.
fn record<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut samples: Producer<f32>,
    link: Link,
    wish: &Wish,
) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let Link { mut marks, fault } = link;
    let (clock, thread, channels) = (wish.clock, wish.thread.clone(), usize::from(config.channels));
    let share = 1.0 / channels as f32;
    let callback = move |data: &[T], info: &InputCallbackInfo| {
        let times = info.timestamp();
        let frames = data.len() / channels;
        let mono = data
            .chunks_exact(channels)
            .map(|frame| frame.iter().map(|sample| f32::from_sample(*sample)).sum::<f32>() * share);
        let room = samples.slots().min(frames);
        let moved = samples.write_chunk_uninit(room).map_or(0, |chunk| chunk.fill_from_iter(mono));
        let latency = times.callback.saturating_duration_since(times.capture).min(MAX_LATENCY);
        let _ = marks.push(Mark { at: clock.now(), latency, frames, moved });
        thread.unpark();
    };
    device.build_input_stream(config, callback, on_error(fault, wish.thread.clone()), None)
}

/// Builds a stream whose callback plays what is in the ring, and silence where that is not enough.
fn play<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut samples: Consumer<f32>,
    link: Link,
    wish: &Wish,
) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample + FromSample<f32>,
{
    let Link { mut marks, fault } = link;
    let (clock, thread, channels) = (wish.clock, wish.thread.clone(), usize::from(config.channels));
    // Of more than two channels the first two are left and right; the others stay silent.
    let used = channels.min(2);
    let callback = move |data: &mut [T], info: &OutputCallbackInfo| {
        let times = info.timestamp();
        let frames = data.len() / channels;
        let moved = samples.slots().min(frames);
        data.fill(T::EQUILIBRIUM);
        if let Ok(chunk) = samples.read_chunk(moved) {
            for (frame, sample) in data.chunks_exact_mut(channels).zip(chunk) {
                frame[..used].fill(T::from_sample(sample));
            }
        }
        let latency = times.playback.saturating_duration_since(times.callback).min(MAX_LATENCY);
        let _ = marks.push(Mark { at: clock.now(), latency, frames, moved });
        // The thread wakes by itself when the next block is due; only if it was late it must know at once.
        if moved < frames {
            thread.unpark();
        }
    };
    device.build_output_stream(config, callback, on_error(fault, wish.thread.clone()), None)
}

fn on_error(fault: Arc<Fault>, thread: Thread) -> impl FnMut(cpal::Error) + Send + 'static {
    move |error| {
        fault.report(&error);
        thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(channels: u16, rates: (u32, u32), sample: SampleFormat) -> SupportedStreamConfigRange {
        let periods = SupportedBufferSize::Range { min: 64, max: 8192 };
        SupportedStreamConfigRange::new(channels, rates.0, rates.1, periods, sample)
    }

    fn chosen(
        offers: &[SupportedStreamConfigRange],
        direction: Direction,
    ) -> Option<(u16, u32, SampleFormat)> {
        choose(offers.iter().copied(), direction).map(|f| (f.channels, f.rate, f.sample))
    }

    #[test]
    fn the_rate_matters_most_then_the_channels_then_the_samples() {
        use SampleFormat::{F32, I16, U8};
        let offers = [
            offer(1, (44_100, 44_100), F32),
            offer(2, (8_000, 192_000), U8),
            offer(2, (8_000, 192_000), I16),
            offer(6, (8_000, 192_000), F32),
            offer(1, (48_000, 48_000), I16),
        ];
        assert_eq!(chosen(&offers, Direction::Input), Some((1, 48_000, I16)));
        assert_eq!(chosen(&offers, Direction::Output), Some((2, 48_000, I16)));
        assert_eq!(chosen(&offers[..1], Direction::Output), Some((1, 44_100, F32)));
        let odd = [offer(2, (16_000, 16_000), F32), offer(2, (96_000, 192_000), F32)];
        assert_eq!(chosen(&odd, Direction::Input), Some((2, 16_000, F32)));
    }

    #[test]
    fn formats_that_cannot_be_converted_are_not_chosen() {
        assert_eq!(chosen(&[], Direction::Input), None);
        assert_eq!(chosen(&[offer(2, (48_000, 48_000), SampleFormat::DsdU8)], Direction::Output), None);
        assert_eq!(chosen(&[offer(2, (1, 1000), SampleFormat::F32)], Direction::Output), None);
        assert_eq!(chosen(&[offer(0, (48_000, 48_000), SampleFormat::F32)], Direction::Input), None);
    }

    #[test]
    fn periods_start_at_ten_milliseconds_and_stay_within_what_the_device_takes() {
        let format = |rate, min, max| Format {
            channels: 1,
            rate,
            sample: SampleFormat::F32,
            periods: SupportedBufferSize::Range { min, max },
        };
        assert_eq!(format(48_000, 1, 100_000).periods(), [480, 960, 240, 1920]);
        assert_eq!(format(44_100, 1, 512).periods(), [441, 512, 220, 512]);
        assert_eq!(format(48_000, 1024, 1024).periods(), [1024]);
        assert_eq!(
            Format { periods: SupportedBufferSize::Unknown, ..format(16_000, 1, 1) }.periods()[0],
            160
        );
    }

    #[test]
    fn glitches_do_not_end_a_stream_and_losses_say_why() {
        let fault = Fault::default();
        let report = |kind| {
            fault.report(&cpal::Error::new(kind));
            fault.reason("Yeti").map(|reason| reason.to_string())
        };
        assert_eq!(report(ErrorKind::Xrun), None);
        assert_eq!(report(ErrorKind::DeviceChanged), None);
        assert!(report(ErrorKind::DeviceNotAvailable).unwrap().starts_with("Yeti was disconnected"));
        assert!(report(ErrorKind::PermissionDenied).unwrap().contains("privacy"));
        assert!(report(ErrorKind::BackendError).unwrap().contains("stopped working"));
    }
}
