//! What is sent to Chromium and from it, and how to tell that it is what arrived.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ahoy_measure::{picture, stamp};
use ahoy_media::codec::{
    AudioDecoder, AudioEncoder, H264Decoder, H264Encoder, OpusDecoder, OpusEncoder, OpusEncoderConfig,
    VideoDecoder, VideoEncoder, VideoEncoderConfig,
};
use ahoy_media::playout::{VideoJitterBuffer, VideoJitterConfig, VideoOut};
use ahoy_media_types::{
    AudioBlock, BLOCK_SAMPLES, Bitrate, ColorMatrix, FrameId, FramePool, FrameRate, FrameSize, I420Buffer,
    MediaClock, MediaTime, SAMPLE_RATE, VideoFrame,
};
use ahoy_rtc::{LocalTrack, LocalTrackEvent, RemoteTrack, RemoteTrackEvent};
use base64::Engine;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::within;

/// Pictures of Chromium's camera before it starts over.
pub(crate) const CLIP_LENGTH: u32 = 120;
/// The tone that we send.
pub(crate) const OUR_TONE: f64 = 440.0;
/// The tone that Chromium sends.
pub(crate) const THEIR_TONE: f64 = 660.0;
/// What the pictures must keep of themselves on the way.
const LEAST_PSNR: f64 = 26.0;
/// How far the mean colour of a quarter of the picture may be off, in steps of 256.
const COLOR_TOLERANCE: f64 = 8.0;

/// The size of all pictures.
pub(crate) fn size() -> FrameSize {
    FrameSize::new(320, 180).unwrap()
}

/// The picture with this number: a slope that moves, with another colour in each quarter, and the number as a stamp.
pub(crate) fn draw(id: u32) -> I420Buffer {
    let mut buffer = I420Buffer::black(size());
    let width = size().width() as usize;
    let [y, u, v] = buffer.planes_mut();
    for (row, line) in y.data.chunks_exact_mut(width).enumerate() {
        for (column, pixel) in line.iter_mut().enumerate() {
            *pixel = 40 + ((column + row + 2 * id as usize) % 320 / 2) as u8;
        }
    }
    for (plane, colors) in [(u, [90, 160, 110, 140]), (v, [150, 100, 170, 120])] {
        let (half_width, half_height) = (plane.width / 2, plane.data.len() / plane.width / 2);
        let width = plane.width;
        for (row, line) in plane.data.chunks_exact_mut(width).enumerate() {
            for (column, pixel) in line.iter_mut().enumerate() {
                *pixel = colors[usize::from(row >= half_height) * 2 + usize::from(column >= half_width)];
            }
        }
    }
    assert!(stamp::draw(&mut buffer, FrameId(id), MediaTime::ZERO));
    buffer
}

/// Writes the clip that Chromium's camera plays. It knows the plain colour space only.
pub(crate) fn write_clip(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    writeln!(file, "YUV4MPEG2 W{} H{} F30:1 Ip A1:1 C420", size().width(), size().height()).unwrap();
    for id in 0..CLIP_LENGTH {
        file.write_all(b"FRAME\n").unwrap();
        file.write_all(draw(id).packed()).unwrap();
    }
    file.flush().unwrap();
}

/// Sends numbered pictures, 30 a second, until the call ends.
pub(crate) async fn send_pictures(track: LocalTrack, clock: MediaClock) {
    let bitrate = Bitrate::from_kbps(800).unwrap();
    let mut encoder =
        H264Encoder::new(VideoEncoderConfig { size: size(), rate: FrameRate::FPS_30, bitrate }).unwrap();
    let mut tick = tokio::time::interval(FrameRate::FPS_30.interval());
    for id in 0.. {
        loop {
            tokio::select! {
                event = track.next_event() => match event {
                    Some(LocalTrackEvent::KeyframeRequested) => encoder.force_keyframe(),
                    None => return,
                },
                _ = tick.tick() => break,
            }
        }
        let frame = VideoFrame {
            buffer: Arc::new(draw(id)),
            id: FrameId(id),
            captured_at: clock.now(),
            color: ColorMatrix::default(),
        };
        if let Some(encoded) = encoder.encode(&frame).unwrap()
            && track.send(encoded).await.is_err()
        {
            return;
        }
    }
}

/// Sends [`OUR_TONE`] until the call ends.
pub(crate) async fn send_tone(track: LocalTrack, clock: MediaClock) {
    let mut encoder = OpusEncoder::new(OpusEncoderConfig::default()).unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let start = clock.now();
    for block in 0u64.. {
        tick.tick().await;
        let mut sound = AudioBlock::silence(start + Duration::from_millis(10) * block as u32);
        for (index, sample) in sound.samples.iter_mut().enumerate() {
            let time = (block * BLOCK_SAMPLES as u64 + index as u64) as f64 / f64::from(SAMPLE_RATE);
            *sample = (0.3 * (std::f64::consts::TAU * OUR_TONE * time).sin()) as f32;
        }
        if let Some(packet) = encoder.encode(&sound).unwrap()
            && track.send(packet).await.is_err()
        {
            return;
        }
    }
}

/// Chromium's pictures, decoded.
pub(crate) struct Watched {
    pub(crate) pictures: mpsc::Receiver<I420Buffer>,
    pub(crate) frames: Arc<AtomicU64>,
    pub(crate) key_frames: Arc<AtomicU64>,
    ask: Arc<Notify>,
}

/// Decoded pictures that wait for the test; it misses those that come when it is full.
const PICTURES: usize = 16;

/// Chromium overhears requests within 300 ms of its last key frame.
const ASK_AGAIN: Duration = Duration::from_millis(200);

impl Watched {
    pub(crate) fn start(track: RemoteTrack, clock: MediaClock) -> Self {
        let (to_test, pictures) = mpsc::channel(PICTURES);
        let (frames, key_frames, ask) = (Arc::default(), Arc::default(), Arc::new(Notify::new()));
        let task =
            watch(track, clock, to_test, (Arc::clone(&frames), Arc::clone(&key_frames)), Arc::clone(&ask));
        tokio::spawn(task);
        Self { pictures, frames, key_frames, ask }
    }

    /// The next `count` pictures that come from now on.
    pub(crate) async fn next(&mut self, count: usize) -> Vec<I420Buffer> {
        while self.pictures.try_recv().is_ok() {}
        let mut pictures = Vec::new();
        while pictures.len() < count {
            pictures.push(within("a picture of Chromium", self.pictures.recv()).await.unwrap());
        }
        pictures
    }

    /// Asks for a key frame until one has been decoded, as a receiver does; gives the time that it took.
    pub(crate) async fn key_frame(&mut self, clock: &MediaClock) -> Duration {
        let (before, asked) = (self.key_frames.load(Relaxed), clock.now());
        let mut ask = tokio::time::interval(ASK_AGAIN);
        within("a key frame of Chromium", async {
            while self.key_frames.load(Relaxed) == before {
                tokio::select! {
                    picture = self.pictures.recv() => drop(picture.unwrap()),
                    _ = ask.tick() => self.ask.notify_one(),
                }
            }
        })
        .await;
        clock.now() - asked
    }
}

async fn watch(
    mut track: RemoteTrack,
    clock: MediaClock,
    to_test: mpsc::Sender<I420Buffer>,
    (frames, key_frames): (Arc<AtomicU64>, Arc<AtomicU64>),
    ask: Arc<Notify>,
) {
    let mut jitter = VideoJitterBuffer::new(VideoJitterConfig::default());
    let mut decoder = H264Decoder::new(FramePool::new()).unwrap();
    loop {
        let wakeup = jitter.next_wakeup(clock.now()).map(|at| clock.instant(at).into());
        tokio::select! {
            event = track.next_event() => match event {
                Some(RemoteTrackEvent::Packet(packet)) => jitter.push(packet, clock.now()),
                Some(RemoteTrackEvent::SenderReport(_)) => {}
                Some(RemoteTrackEvent::Ended) | None => return,
            },
            () = ask.notified() => drop(track.request_keyframe().await),
            () = tokio::time::sleep_until(wakeup.unwrap_or_else(tokio::time::Instant::now)), if wakeup.is_some() => {}
        }
        while let Some(out) = jitter.poll(clock.now()) {
            match out {
                VideoOut::Frame(frame) => match decoder.decode(&frame.data) {
                    Ok(Some(buffer)) => {
                        frames.fetch_add(1, Relaxed);
                        key_frames.fetch_add(u64::from(frame.keyframe), Relaxed);
                        let _ = to_test.try_send(buffer);
                    }
                    Ok(None) => {}
                    Err(_) => jitter.decoder_failed(),
                },
                VideoOut::NeedKeyframe => drop(track.request_keyframe().await),
            }
        }
    }
}

/// The next second of Chromium's sound from where it is loud, decoded.
pub(crate) async fn listen(track: &mut RemoteTrack) -> Vec<f32> {
    let mut decoder = OpusDecoder::new().unwrap();
    let mut heard = Vec::new();
    within("a second of sound", async {
        while heard.len() < SAMPLE_RATE as usize {
            match track.next_event().await {
                Some(RemoteTrackEvent::Packet(packet)) => {
                    decoder.decode(&packet.payload, &mut heard).unwrap();
                    if heard.iter().all(|sample| sample.abs() < 0.05) {
                        heard.clear();
                    }
                }
                Some(RemoteTrackEvent::SenderReport(_)) => {}
                Some(RemoteTrackEvent::Ended) | None => panic!("the sound ended"),
            }
        }
    })
    .await;
    heard
}

/// What share of the sound's energy is in the tone of `hertz`, 0 to 1: the median over pieces of 50 ms, so that a gap
/// which shifts the rest does not count for all of it.
pub(crate) fn share_of(sound: &[f32], hertz: f64) -> f64 {
    let pieces = sound.chunks_exact(SAMPLE_RATE as usize / 20);
    let mut shares: Vec<_> = pieces.map(|piece| goertzel(piece, hertz)).collect();
    shares.sort_by(f64::total_cmp);
    shares[shares.len() / 2]
}

fn goertzel(sound: &[f32], hertz: f64) -> f64 {
    let step = std::f64::consts::TAU * hertz / f64::from(SAMPLE_RATE);
    let (mut real, mut imaginary, mut energy) = (0.0, 0.0, 0.0);
    for (index, &sample) in sound.iter().enumerate() {
        let (sine, cosine) = (step * index as f64).sin_cos();
        real += f64::from(sample) * cosine;
        imaginary += f64::from(sample) * sine;
        energy += f64::from(sample) * f64::from(sample);
    }
    2.0 * (real * real + imaginary * imaginary) / (sound.len() as f64 * energy.max(1e-9))
}

/// Checks that these are pictures of [`draw`], that their numbers go up, and that they look like what was drawn.
/// `length` is where the numbers start over.
pub(crate) fn check(pictures: &[I420Buffer], length: Option<u32>) {
    let mut last = None;
    for (index, picture) in pictures.iter().enumerate() {
        assert_eq!(picture.size(), size());
        let id = stamp::read(picture).unwrap_or_else(|| panic!("picture {index} has no stamp")).id.0;
        if let Some(last) = last {
            let step = match length {
                Some(length) => (id + length - last) % length,
                None => id.wrapping_sub(last),
            };
            assert!((1..60).contains(&step), "picture {id} comes after {last}");
        }
        last = Some(id);
        let drawn = draw(id);
        let psnr = picture::psnr_y(picture, &drawn).unwrap();
        assert!(psnr > LEAST_PSNR, "picture {id} has {psnr:.1} dB");
        for (plane, seen, wanted) in [("U", picture.u(), drawn.u()), ("V", picture.v(), drawn.v())] {
            for quarter in 0..4 {
                let off = mean(seen, quarter) - mean(wanted, quarter);
                assert!(
                    off.abs() < COLOR_TOLERANCE,
                    "{plane} of quarter {quarter} of picture {id} is off by {off:.1}"
                );
            }
        }
    }
}

/// Mean of one quarter of a chroma plane.
fn mean(plane: &[u8], quarter: usize) -> f64 {
    let width = size().chroma_width() as usize;
    let (half_width, half_height) = (width / 2, plane.len() / width / 2);
    let rows = plane.chunks_exact(width).skip(quarter / 2 * half_height).take(half_height);
    let pixels = rows.flat_map(|row| row[quarter % 2 * half_width..][..half_width].iter());
    pixels.map(|&pixel| f64::from(pixel)).sum::<f64>() / (half_width * half_height) as f64
}

/// What the page's `pictures` gave.
pub(crate) fn pictures_of(value: &Value) -> Vec<I420Buffer> {
    let list = value.as_array().unwrap();
    list.iter()
        .map(|one| {
            let size =
                FrameSize::new(one["width"].as_u64().unwrap(), one["height"].as_u64().unwrap()).unwrap();
            I420Buffer::from_packed(size, bytes_of(&one["i420"])).expect("a whole picture")
        })
        .collect()
}

/// What the page's `sound` gave.
pub(crate) fn sound_of(value: &Value) -> Vec<f32> {
    let bytes = bytes_of(value);
    bytes.chunks_exact(4).map(|sample| f32::from_le_bytes(sample.try_into().unwrap())).collect()
}

fn bytes_of(value: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
}
