//! Reading of `.wav` files, one buffer at a time.
//!
//! Our own reader and not the one of `hound` (which writes our recordings): `hound` loses its place after chunks of odd
//! length, seeks wrongly in 24-bit samples that are stored in four bytes, and can't say how much of a file is missing.
//! Source: "Multimedia Programming Interface and Data Specifications 1.0" (RIFF), and Microsoft's WAVEFORMATEXTENSIBLE.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::resample::{MAX_RATE, MIN_RATE};

/// Why a `.wav` file can't be played. The text is the end of a sentence and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// The system could not open or read the file.
    #[error("{0}. Check the name and that you may read it.")]
    Io(#[from] io::Error),
    /// The file is something else.
    #[error("it is not a .wav file. Convert it, for example with `ffmpeg -i FILE out.wav`.")]
    NotWav,
    /// The header ends before it has said everything.
    #[error("its header is damaged ({0}). Save or convert it again.")]
    Damaged(&'static str),
    /// The sound is compressed, or in a format that is rarely used.
    #[error(
        "its sound is stored as {0}. Convert it to 16-bit PCM, for example with `ffmpeg -i FILE -c:a pcm_s16le out.wav`."
    )]
    Encoding(String),
    /// No sound device has so many channels, or none.
    #[error("it says that it has {0} channels. Use a file with 1 to {MAX_CHANNELS}.")]
    Channels(u16),
    /// No sound is sampled so slowly or so fast.
    #[error("it says that it has {0} samples per second. Use a file with {MIN_RATE} to {MAX_RATE}.")]
    Rate(u32),
    /// Less sound than the header says.
    #[error(
        "it is cut short: {promised:.1} s of sound are promised and {found:.1} s are there. Copy or record it again."
    )]
    Truncated {
        /// Seconds that the header promises.
        promised: f64,
        /// Seconds that the file holds.
        found: f64,
    },
    /// No sound at all.
    #[error("there is no sound in it. Record it again.")]
    Empty,
}

/// More channels than any microphone array has.
const MAX_CHANNELS: u16 = 64;
/// More chunks before the sound than any program writes; without a bound, garbage could keep the reader busy for long.
const MAX_CHUNKS: usize = 1000;
/// Programs that write into a pipe don't know the length beforehand and put in one at least this large.
const UNKNOWN_LENGTH: u64 = 0x7FFF_0000;
/// Frames that are read from the file at a time.
const READ_FRAMES: usize = 1024;

const PCM: u16 = 1;
const IEEE_FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;
/// All but the first two bytes of the sub-format GUIDs of WAVEFORMATEXTENSIBLE.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    U8,
    I16,
    I24,
    I32,
    F32,
    F64,
}

impl Encoding {
    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// One sample, -1.0 to 1.0; `bytes` is exactly [`Self::bytes`] long. Broken floating-point samples become silence.
    fn decode(self, bytes: &[u8]) -> f32 {
        let sample = match (self, bytes) {
            (Self::U8, &[a]) => (f32::from(a) - 128.0) / 128.0,
            (Self::I16, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            (Self::I24, &[a, b, c]) => i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0,
            (Self::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::F64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32,
            (Self::U8 | Self::I16 | Self::I24 | Self::I32 | Self::F32 | Self::F64, _) => 0.0,
        };
        if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
    }
}

/// How and where a file stores its sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    encoding: Encoding,
    channels: u16,
    rate: u32,
    start: u64,
    frames: u64,
}

impl Layout {
    fn frame_bytes(&self) -> usize {
        self.encoding.bytes() * usize::from(self.channels)
    }
}

/// A `.wav` file that is open for reading. Holds one small buffer, however long the file is.
#[derive(Debug)]
pub struct WavReader<R> {
    source: R,
    layout: Layout,
    frames_left: u64,
    bytes: Vec<u8>,
}

impl WavReader<BufReader<File>> {
    /// Opens the file of this path.
    ///
    /// # Errors
    /// [`WavError`]: what is wrong with the file.
    pub fn open(path: &Path) -> Result<Self, WavError> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        // A directory opens but can't be read; a pipe or device can't be played over and over.
        if !meta.is_file() {
            return Err(WavError::NotWav);
        }
        Self::new(BufReader::new(file), meta.len())
    }
}

impl<R: Read + Seek> WavReader<R> {
    /// Reads the header; `source` stands at the start of a file of `file_len` bytes.
    ///
    /// # Errors
    /// [`WavError`]: what is wrong with the file.
    pub fn new(mut source: R, file_len: u64) -> Result<Self, WavError> {
        let layout = read_header(&mut source, file_len)?;
        source.seek(SeekFrom::Start(layout.start))?;
        Ok(Self { source, layout, frames_left: layout.frames, bytes: Vec::new() })
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.layout.rate
    }

    /// Appends the mean of the channels of the next samples to `out`: as many as one read gives, at least one. After
    /// the last the first follows.
    ///
    /// # Errors
    /// The file can't be read any more.
    pub fn read_looped(&mut self, out: &mut Vec<f32>) -> io::Result<()> {
        if self.frames_left == 0 {
            self.source.seek(SeekFrom::Start(self.layout.start))?;
            self.frames_left = self.layout.frames;
        }
        let frames = READ_FRAMES.min(usize::try_from(self.frames_left).unwrap_or(READ_FRAMES));
        self.bytes.resize(frames * self.layout.frame_bytes(), 0);
        self.source.read_exact(&mut self.bytes)?;
        self.frames_left -= frames as u64;
        let (encoding, share) = (self.layout.encoding, 1.0 / f32::from(self.layout.channels));
        out.extend(self.bytes.chunks_exact(self.layout.frame_bytes()).map(|frame| {
            frame.chunks_exact(encoding.bytes()).map(|sample| encoding.decode(sample)).sum::<f32>() * share
        }));
        Ok(())
    }
}

/// Reads exactly `N` bytes; a file that ends before is `Damaged`.
fn take<const N: usize>(source: &mut impl Read, what: &'static str) -> Result<[u8; N], WavError> {
    let mut bytes = [0; N];
    match source.read_exact(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(WavError::Damaged(what)),
        Err(e) => Err(e.into()),
    }
}

fn read_header<R: Read + Seek>(source: &mut R, file_len: u64) -> Result<Layout, WavError> {
    if file_len == 0 {
        return Err(WavError::Empty);
    }
    let riff: [u8; 12] = take(source, "it ends at once").map_err(|e| match e {
        WavError::Damaged(_) => WavError::NotWav,
        other => other,
    })?;
    // RF64 (EBU Tech 3306) is the same with lengths beyond 32 bits, which then say "until the end of the file".
    if !(riff.starts_with(b"RIFF") || riff.starts_with(b"RF64")) || !riff.ends_with(b"WAVE") {
        return Err(WavError::NotWav);
    }
    let mut position = riff.len() as u64;
    let mut format = None;
    for _ in 0..MAX_CHUNKS {
        let [a, b, c, d, l0, l1, l2, l3]: [u8; 8] = take(source, "no sound follows")?;
        position += 8;
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        match &[a, b, c, d] {
            b"fmt " => format = Some(read_format(source, length)?),
            b"data" => {
                let (encoding, channels, rate) = format.ok_or(WavError::Damaged("the format is missing"))?;
                let layout = Layout { encoding, channels, rate, start: position, frames: 0 };
                return measure(layout, length, file_len.saturating_sub(position));
            }
            _ => {}
        }
        // Chunks of odd length are followed by one byte of padding.
        position += length + length % 2;
        if position >= file_len {
            return Err(WavError::Damaged("no sound follows"));
        }
        source.seek(SeekFrom::Start(position))?;
    }
    Err(WavError::Damaged("no sound follows"))
}

fn read_format(source: &mut impl Read, length: u64) -> Result<(Encoding, u16, u32), WavError> {
    const SHORT: &str = "the format is cut short";
    if length < 16 {
        return Err(WavError::Damaged(SHORT));
    }
    let f: [u8; 16] = take(source, SHORT)?;
    let mut tag = u16::from_le_bytes([f[0], f[1]]);
    let channels = u16::from_le_bytes([f[2], f[3]]);
    let rate = u32::from_le_bytes([f[4], f[5], f[6], f[7]]);
    let frame_bytes = u16::from_le_bytes([f[12], f[13]]);
    let mut bits = u16::from_le_bytes([f[14], f[15]]);
    if tag == EXTENSIBLE && length >= 40 {
        let extension: [u8; 24] = take(source, SHORT)?;
        if extension[10..] == GUID_TAIL {
            tag = u16::from_le_bytes([extension[8], extension[9]]);
        }
    }
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(WavError::Channels(channels));
    }
    if !(MIN_RATE..=MAX_RATE).contains(&rate) {
        return Err(WavError::Rate(rate));
    }
    // Samples fill their bytes from the top, so 20 bits in three bytes or 24 in four read like 24 or 32 bits.
    if frame_bytes.is_multiple_of(channels) && tag == PCM && (1..=32).contains(&bits) {
        bits = bits.max((frame_bytes / channels).saturating_mul(8));
    }
    let encoding = match (tag, bits) {
        (PCM, 8) => Encoding::U8,
        (PCM, 16) => Encoding::I16,
        (PCM, 24) => Encoding::I24,
        (PCM, 32) => Encoding::I32,
        (IEEE_FLOAT, 32) => Encoding::F32,
        (IEEE_FLOAT, 64) => Encoding::F64,
        (PCM | IEEE_FLOAT, bits) => return Err(WavError::Encoding(format!("samples of {bits} bits"))),
        (tag, _) => return Err(WavError::Encoding(format!("format {tag}"))),
    };
    if usize::from(frame_bytes) != encoding.bytes() * usize::from(channels) {
        return Err(WavError::Damaged("the sizes in its format contradict each other"));
    }
    Ok((encoding, channels, rate))
}

/// Fits the length that the header promises to the bytes that are there.
fn measure(mut layout: Layout, promised: u64, there: u64) -> Result<Layout, WavError> {
    let frame_bytes = layout.frame_bytes() as u64;
    if promised > there && promised < UNKNOWN_LENGTH {
        let seconds = |bytes: u64| (bytes / frame_bytes) as f64 / f64::from(layout.rate);
        return Err(WavError::Truncated { promised: seconds(promised), found: seconds(there) });
    }
    layout.frames = promised.min(there) / frame_bytes;
    if layout.frames == 0 {
        return Err(WavError::Empty);
    }
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn reader(bytes: Vec<u8>) -> Result<WavReader<Cursor<Vec<u8>>>, WavError> {
        let len = bytes.len() as u64;
        WavReader::new(Cursor::new(bytes), len)
    }

    fn refused(bytes: Vec<u8>) -> String {
        reader(bytes).unwrap_err().to_string()
    }

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut bytes = name.to_vec();
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    }

    fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
        let content: Vec<u8> = b"WAVE".iter().copied().chain(chunks.concat()).collect();
        chunk(b"RIFF", &content)
    }

    fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
        let frame = channels.wrapping_mul(bits / 8);
        let mut f = Vec::new();
        f.extend(tag.to_le_bytes());
        f.extend(channels.to_le_bytes());
        f.extend(rate.to_le_bytes());
        f.extend(rate.wrapping_mul(u32::from(frame)).to_le_bytes());
        f.extend(frame.to_le_bytes());
        f.extend(bits.to_le_bytes());
        chunk(b"fmt ", &f)
    }

    fn written_by_hound(spec: hound::WavSpec, frames: &[Vec<f32>]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        for sample in frames.iter().flatten() {
            match spec.sample_format {
                hound::SampleFormat::Float => writer.write_sample(*sample).unwrap(),
                hound::SampleFormat::Int => {
                    let full = 2f64.powi(i32::from(spec.bits_per_sample) - 1);
                    writer.write_sample((f64::from(*sample) * (full - 1.0)) as i32).unwrap();
                }
            }
        }
        writer.finalize().unwrap();
        file.into_inner()
    }

    #[test]
    fn every_depth_reads_as_the_mean_of_its_channels() {
        use hound::SampleFormat::{Float, Int};
        let frames: Vec<Vec<f32>> = (0..100).map(|n| vec![n as f32 / 100.0, -0.5, 0.25]).collect();
        for (bits, format, tolerance) in
            [(8, Int, 0.02), (16, Int, 1e-4), (24, Int, 1e-6), (32, Int, 1e-6), (32, Float, 1e-7)]
        {
            let spec = hound::WavSpec {
                channels: 3,
                sample_rate: 22_050,
                bits_per_sample: bits,
                sample_format: format,
            };
            let mut wav = reader(written_by_hound(spec, &frames)).unwrap();
            assert_eq!(wav.rate(), 22_050);
            let mut mono = Vec::new();
            wav.read_looped(&mut mono).unwrap();
            assert_eq!(mono.len(), 100, "{bits} bits");
            for (frame, got) in frames.iter().zip(&mono) {
                let expected = frame.iter().sum::<f32>() / 3.0;
                assert!((expected - got).abs() < tolerance, "{bits} bits: {expected} became {got}");
            }
        }
    }

    #[test]
    fn the_end_is_followed_by_the_start() {
        let data: Vec<u8> = [1i16, 2, 3].iter().flat_map(|s| (s * 1000).to_le_bytes()).collect();
        let mut wav = reader(riff(&[format(PCM, 1, 8000, 16), chunk(b"data", &data)])).unwrap();
        let mut out = Vec::new();
        while out.len() < 9 {
            wav.read_looped(&mut out).unwrap();
        }
        assert_eq!(out[..3], out[3..6]);
        assert_eq!(out[..3], out[6..]);
    }

    #[test]
    fn chunks_of_odd_length_are_skipped_with_their_padding() {
        let file = riff(&[chunk(b"LIST", b"odd"), format(PCM, 1, 8000, 8), chunk(b"data", &[255, 0])]);
        let mut out = Vec::new();
        reader(file).unwrap().read_looped(&mut out).unwrap();
        assert_eq!(out, [127.0 / 128.0, -1.0]);
    }

    #[test]
    fn four_byte_samples_with_24_valid_bits_are_read_whole() {
        let mut f = format(PCM, 1, 48_000, 32);
        f[8..10].copy_from_slice(&EXTENSIBLE.to_le_bytes());
        f[4] = 40;
        f.extend([22, 0, 24, 0, 4, 0, 0, 0, 1, 0]);
        f.extend(GUID_TAIL);
        let file = riff(&[f, chunk(b"data", &(1i32 << 30).to_le_bytes())]);
        let mut out = Vec::new();
        reader(file).unwrap().read_looped(&mut out).unwrap();
        assert_eq!(out, [0.5]);
    }

    /// Found by fuzzing.
    #[test]
    fn frames_of_absurd_length_are_refused() {
        let mut f = format(PCM, 1, 48_000, 16);
        f[20..22].copy_from_slice(&u16::MAX.to_le_bytes());
        let refusal = refused(riff(&[f, chunk(b"data", &[0; 4])]));
        assert!(refusal.contains("samples of 65535 bits"), "{refusal}");
    }

    #[test]
    fn broken_floating_point_samples_are_made_harmless() {
        let data: Vec<u8> =
            [f32::NAN, f32::INFINITY, -7.5, 0.5].iter().flat_map(|s| s.to_le_bytes()).collect();
        let mut out = Vec::new();
        let mut wav = reader(riff(&[format(IEEE_FLOAT, 1, 48_000, 32), chunk(b"data", &data)])).unwrap();
        wav.read_looped(&mut out).unwrap();
        assert_eq!(out, [0.0, 0.0, -1.0, 0.5]);
    }

    #[test]
    fn a_length_from_a_pipe_means_until_the_end() {
        let mut file = riff(&[format(PCM, 2, 48_000, 16), chunk(b"data", &[0; 18])]);
        let length = file.len() - 22..file.len() - 18;
        file[length].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut out = Vec::new();
        reader(file).unwrap().read_looped(&mut out).unwrap();
        assert_eq!(out.len(), 4, "the half frame at the end is dropped");
    }

    #[test]
    fn unusable_files_are_refused_with_what_is_wrong() {
        let good = || riff(&[format(PCM, 1, 8000, 16), chunk(b"data", &[0; 16_000])]);
        assert!(refused(vec![]).contains("no sound in it"));
        assert!(refused(b"OggS".to_vec()).contains("not a .wav"));
        assert!(refused(vec![7; 5000]).contains("not a .wav"));
        assert!(refused(riff(&[])).contains("header is damaged"));
        assert!(refused(good()[..30].to_vec()).contains("header is damaged"));
        assert!(refused(good()[..44].to_vec()).contains("1.0 s of sound are promised and 0.0 s"));
        assert!(refused(good()[..8044].to_vec()).contains("and 0.5 s are there"));
        assert!(refused(riff(&[format(PCM, 1, 8000, 16), chunk(b"data", &[])])).contains("no sound in it"));
        assert!(
            refused(riff(&[chunk(b"data", &[0; 8]), format(PCM, 1, 8000, 16)])).contains("format is missing")
        );
        let with = |f: Vec<u8>| refused(riff(&[f, chunk(b"data", &[0; 64])]));
        assert!(with(format(PCM, 1, 0, 16)).contains("0 samples per second"));
        assert!(with(format(PCM, 1, u32::MAX, 16)).contains("4294967295 samples per second"));
        assert!(with(format(PCM, 0, 8000, 16)).contains("0 channels"));
        assert!(with(format(PCM, 65_535, 8000, 16)).contains("65535 channels"));
        assert!(with(format(PCM, 1, 8000, 0)).contains("samples of 0 bits"));
        assert!(with(format(PCM, 1, 8000, 48)).contains("samples of 48 bits"));
        assert!(with(format(2, 1, 8000, 16)).contains("format 2"));
        let mut torn = format(PCM, 2, 8000, 16);
        torn[20] = 3;
        assert!(with(torn).contains("contradict"));
    }

    #[test]
    fn files_that_are_missing_or_are_folders_are_refused() {
        let missing = WavReader::open(Path::new("/nonexistent/a.wav")).unwrap_err().to_string();
        assert!(missing.contains("No such file") && missing.contains("Check the name"), "{missing}");
        assert!(WavReader::open(Path::new("/")).is_err());
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic_or_read_past_the_end(
            header in proptest::collection::vec(any::<u8>(), 0..120),
            mut fmt in proptest::collection::vec(any::<u8>(), 0..48),
            plain in any::<bool>(),
        ) {
            if plain && fmt.len() > 15 {
                fmt[..4].copy_from_slice(&[1, 0, 1, 0]);
                fmt[4..8].copy_from_slice(&8000u32.to_le_bytes());
            }
            for bytes in [header.clone(), riff(&[chunk(b"fmt ", &fmt), chunk(b"data", &header)])] {
                if let Ok(mut wav) = reader(bytes) {
                    let mut out = Vec::new();
                    wav.read_looped(&mut out).unwrap();
                    wav.read_looped(&mut out).unwrap();
                    prop_assert!(out.iter().all(|s| s.abs() <= 1.0) && out.len() >= 2);
                }
            }
        }
    }
}
