//! Opus by libopus: mono at 48 kHz (RFC 7587 allows mono packets in what SDP calls a two-channel format).

use std::time::Duration;

use ahoy_media_types::{
    AudioBlock, BLOCK_DURATION, BLOCK_SAMPLES, Bitrate, Codec, EncodedFrame, MediaTime, SAMPLE_RATE,
};
use bytes::Bytes;
use opus::{Application, Channels, Signal};

use super::{AudioDecoder, AudioEncoder, CodecError};

/// Longest packet made, in bytes: what RFC 6716 section 3.4 allows one frame to take.
const MAX_PACKET: usize = 1275;
/// Most samples that one packet can hold (120 ms, RFC 6716 section 3.1).
const MAX_PACKET_SAMPLES: usize = 5760;
/// Packets of at most so many bytes are silence and need not be sent (`opus_encode` in opus.h).
const DTX_BYTES: usize = 2;
/// Sound that starts later than expected by more than this has had a gap, not jitter: the timestamps follow it.
const GAP: Duration = Duration::from_millis(100);
/// libopus's scale of effort goes to 10, which costs 1.6 % of a core for speech at 32 kbit/s; 5 would cost 0.8 %. Sound is
/// what a call can least do without, so nothing is saved on it.
const COMPLEXITY: i32 = 10;

/// From this many percent of lost packets on, gaps are heard more than that music is coded as speech.
const LOSSY: u8 = 5;

/// Most blocks in a packet: 60 ms, the longest frame of Opus (RFC 6716 section 2.1.4).
const MOST_BLOCKS: usize = 6;

/// How much sound goes into one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpusFrameDuration {
    /// 10 ms less delay for about 10 kbit/s more of packet headers.
    Ms10,
    /// What everyone uses.
    #[default]
    Ms20,
}

impl OpusFrameDuration {
    const fn blocks(self) -> usize {
        match self {
            OpusFrameDuration::Ms10 => 1,
            OpusFrameDuration::Ms20 => 2,
        }
    }
}

/// What an Opus encoder starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusEncoderConfig {
    /// Bits per second to aim for.
    pub bitrate: Bitrate,
    /// Sound in one packet.
    pub frame: OpusFrameDuration,
    /// Leave out packets of silence (one goes out every 400 ms all the same).
    pub dtx: bool,
    /// Value of the first RTP timestamp.
    pub timestamp_offset: u32,
}

impl Default for OpusEncoderConfig {
    /// Full-band speech that stands up to loss: 32 kbit/s, 20 ms, silence left out.
    fn default() -> Self {
        Self {
            bitrate: Bitrate::from_kbps(32).expect("32 is between the limits"),
            frame: OpusFrameDuration::default(),
            dtx: true,
            timestamp_offset: 0,
        }
    }
}

fn opus_error(doing: &'static str) -> impl Fn(opus::Error) -> CodecError {
    move |error| CodecError::Opus { doing, reason: error.code().description() }
}

/// Compresses speech, with in-band forward error correction (RFC 6716 section 2.1.7) as soon as loss is expected.
pub struct OpusEncoder {
    encoder: opus::Encoder,
    frame: OpusFrameDuration,
    /// In the packet that is being gathered, and in those after it.
    blocks: usize,
    next_blocks: usize,
    gathered: Vec<f32>,
    started_at: MediaTime,
    expected: Option<MediaTime>,
    rtp_timestamp: u32,
    /// Packets of the present silence, and how many of them are sent.
    silent: usize,
    silence_sent: usize,
}

impl OpusEncoder {
    /// Starts an encoder.
    ///
    /// # Errors
    /// [`CodecError::Opus`] where libopus refuses the settings.
    pub fn new(config: OpusEncoderConfig) -> Result<Self, CodecError> {
        let failed = opus_error("compressed");
        let mut encoder =
            opus::Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Voip).map_err(&failed)?;
        encoder.set_complexity(COMPLEXITY).map_err(&failed)?;
        encoder.set_inband_fec(true).map_err(&failed)?;
        encoder.set_dtx(config.dtx).map_err(&failed)?;
        encoder.set_vbr(true).map_err(&failed)?;
        let blocks = config.frame.blocks();
        let mut this = Self {
            encoder,
            frame: config.frame,
            blocks,
            next_blocks: blocks,
            gathered: Vec::with_capacity(MOST_BLOCKS * BLOCK_SAMPLES),
            started_at: MediaTime::ZERO,
            expected: None,
            rtp_timestamp: config.timestamp_offset,
            silent: 0,
            silence_sent: 1,
        };
        this.set_bitrate(config.bitrate)?;
        Ok(this)
    }

    /// Skips timestamps over sound that never came, so that they stay true to the clock.
    fn follow_gap(&mut self, captured_at: MediaTime) {
        let gap = self.expected.map_or(Duration::ZERO, |expected| captured_at.since(expected));
        if gap > GAP {
            let blocks = gap.as_micros() / BLOCK_DURATION.as_micros();
            let samples = blocks as u32 * BLOCK_SAMPLES as u32 + self.gathered.len() as u32;
            self.rtp_timestamp = self.rtp_timestamp.wrapping_add(samples);
            self.gathered.clear();
        }
        self.expected = Some(captured_at + BLOCK_DURATION);
    }
}

impl AudioEncoder for OpusEncoder {
    fn encode(&mut self, block: &AudioBlock) -> Result<Option<EncodedFrame>, CodecError> {
        self.follow_gap(block.captured_at);
        if self.gathered.is_empty() {
            self.started_at = block.captured_at;
            self.blocks = self.next_blocks;
        }
        self.gathered.extend_from_slice(&block.samples);
        if self.gathered.len() < self.blocks * BLOCK_SAMPLES {
            return Ok(None);
        }
        let result = self.encoder.encode_vec_float(&self.gathered, MAX_PACKET);
        let rtp_timestamp = self.rtp_timestamp;
        self.rtp_timestamp = rtp_timestamp.wrapping_add(self.gathered.len() as u32);
        self.gathered.clear();
        let packet = result.map_err(opus_error("compressed"))?;
        self.silent = if opus_packet_is_silence(&packet) { self.silent + 1 } else { 0 };
        Ok((self.silent <= self.silence_sent).then(|| EncodedFrame {
            codec: Codec::Opus,
            data: Bytes::from(packet),
            rtp_timestamp,
            duration: BLOCK_DURATION * self.blocks as u32,
            keyframe: true,
            time: self.started_at,
        }))
    }

    fn set_bitrate(&mut self, bitrate: Bitrate) -> Result<(), CodecError> {
        let bits = i32::try_from(bitrate.as_bps()).unwrap_or(i32::MAX);
        self.encoder.set_bitrate(opus::Bitrate::Bits(bits)).map_err(opus_error("compressed at that bitrate"))
    }

    fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        // Only what is coded as speech can be repeated in the next packet; what sounds like music would have gaps instead.
        let signal = if percent >= LOSSY { Signal::Voice } else { Signal::Auto };
        self.encoder
            .set_packet_loss_perc(i32::from(percent.min(100)))
            .and_then(|()| self.encoder.set_signal(signal))
            .map_err(opus_error("protected against loss"))
    }

    fn set_packet_duration(&mut self, duration: Option<Duration>) {
        self.next_blocks = duration.map_or(self.frame.blocks(), |duration| {
            let blocks = duration.as_micros().div_ceil(BLOCK_DURATION.as_micros());
            usize::try_from(blocks).unwrap_or(MOST_BLOCKS).clamp(1, MOST_BLOCKS)
        });
    }

    fn set_silence_sent(&mut self, packets: usize) {
        self.silence_sent = packets.max(1);
    }
}

/// Decompresses Opus of any mode and channel count to mono.
pub struct OpusDecoder {
    decoder: opus::Decoder,
}

impl OpusDecoder {
    /// Starts a decoder.
    ///
    /// # Errors
    /// [`CodecError::Opus`] where libopus has no memory for one.
    pub fn new() -> Result<Self, CodecError> {
        let decoder = opus::Decoder::new(SAMPLE_RATE, Channels::Mono).map_err(opus_error("decoded"))?;
        Ok(Self { decoder })
    }

    fn run(
        &mut self,
        payload: &[u8],
        samples: usize,
        fec: bool,
        out: &mut Vec<f32>,
    ) -> Result<(), CodecError> {
        let before = out.len();
        out.resize(before + samples, 0.0);
        match self.decoder.decode_float(payload, &mut out[before..], fec) {
            Ok(decoded) => {
                out.truncate(before + decoded);
                // Lossy coding overshoots, and a hostile packet can say anything.
                for sample in &mut out[before..] {
                    *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
                }
                Ok(())
            }
            Err(error) => {
                out.truncate(before);
                Err(opus_error("decoded")(error))
            }
        }
    }
}

impl AudioDecoder for OpusDecoder {
    fn decode(&mut self, payload: &[u8], out: &mut Vec<f32>) -> Result<(), CodecError> {
        if payload.is_empty() {
            // libopus would take it for a loss and invent sound for the whole buffer.
            return Err(CodecError::Opus { doing: "decoded", reason: "the packet is empty" });
        }
        self.run(payload, MAX_PACKET_SAMPLES, false, out)
    }

    fn decode_fec(
        &mut self,
        next_payload: &[u8],
        samples: usize,
        out: &mut Vec<f32>,
    ) -> Result<bool, CodecError> {
        if next_payload.is_empty() {
            return self.conceal(samples, out).map(|()| false);
        }
        self.run(next_payload, whole_frames(samples), true, out)?;
        Ok(opus_packet_has_fec(next_payload))
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) -> Result<(), CodecError> {
        self.run(&[], whole_frames(samples), false, out)
    }
}

/// libopus makes sound up in steps of 2.5 ms.
fn whole_frames(samples: usize) -> usize {
    const STEP: usize = SAMPLE_RATE as usize / 400;
    (samples.div_ceil(STEP) * STEP).clamp(STEP, MAX_PACKET_SAMPLES)
}

/// Samples at 48 kHz in an Opus packet; `None` if it is damaged or longer than 120 ms.
pub fn opus_packet_samples(payload: &[u8]) -> Option<usize> {
    if payload.is_empty() {
        return None;
    }
    opus::packet::get_nb_samples(payload, SAMPLE_RATE).ok().filter(|n| (1..=MAX_PACKET_SAMPLES).contains(n))
}

/// Whether a packet holds nothing but that there is nothing to hear.
pub fn opus_packet_is_silence(payload: &[u8]) -> bool {
    payload.len() <= DTX_BYTES
}

/// Whether a packet carries a copy of the one before it: the LBRR flag of its first SILK frame (RFC 6716 section 4.2.3).
pub fn opus_packet_has_fec(payload: &[u8]) -> bool {
    /// Configurations from here on are CELT alone, which has no such copies (RFC 6716 table 2).
    const FIRST_CELT_CONFIG: u8 = 16;
    if payload.first().is_none_or(|toc| toc >> 3 >= FIRST_CELT_CONFIG) {
        return false;
    }
    let Ok(packet) = opus::packet::parse(payload) else { return false };
    let Some(&flags) = packet.frames.first().and_then(|frame| frame.first()) else { return false };
    // One voice activity flag for each 20 ms comes before the flag asked for.
    let per_frame = opus::packet::get_samples_per_frame(payload, SAMPLE_RATE).unwrap_or(0);
    let activity_flags = (per_frame / 960).clamp(1, 3);
    flags >> (7 - activity_flags) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALWAYS: OpusEncoderConfig = OpusEncoderConfig {
        bitrate: Bitrate::MIN,
        frame: OpusFrameDuration::Ms20,
        dtx: false,
        timestamp_offset: 0,
    };

    /// Something like a voice: a 150 Hz buzz whose loudness swells and fades.
    fn voice(block: usize) -> AudioBlock {
        let mut out = AudioBlock::silence(MediaTime::from_millis(block as u64 * 10));
        for (i, sample) in out.samples.iter_mut().enumerate() {
            let t = (block * BLOCK_SAMPLES + i) as f32 / SAMPLE_RATE as f32;
            let swell = 0.6 + 0.4 * (t * 3.0 * std::f32::consts::TAU).sin();
            *sample = (1..6).map(|k| (t * 150.0 * k as f32 * std::f32::consts::TAU).sin()).sum::<f32>()
                * 0.08
                * swell;
        }
        out
    }

    fn packets(config: OpusEncoderConfig, loss: u8, blocks: usize) -> Vec<EncodedFrame> {
        let mut encoder = OpusEncoder::new(config).unwrap();
        encoder.set_bitrate(Bitrate::from_kbps(32).unwrap()).unwrap();
        encoder.set_expected_loss(loss).unwrap();
        (0..blocks).filter_map(|i| encoder.encode(&voice(i)).unwrap()).collect()
    }

    fn energy(samples: &[f32]) -> f32 {
        samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32
    }

    /// Mean square of the difference, relative to the reference.
    fn difference(reference: &[f32], other: &[f32]) -> f32 {
        let diff: Vec<f32> = reference.iter().zip(other).map(|(a, b)| a - b).collect();
        energy(&diff) / energy(reference)
    }

    #[test]
    fn twenty_milliseconds_go_into_a_packet_unless_ten_are_asked_for() {
        let long = packets(ALWAYS, 0, 100);
        assert_eq!(long.len(), 50);
        assert_eq!(long[1].rtp_timestamp, 960);
        assert_eq!(long[1].time, MediaTime::from_millis(20));
        assert_eq!(long[1].duration, Duration::from_millis(20));
        assert_eq!(opus_packet_samples(&long[0].data), Some(960));
        let short = packets(OpusEncoderConfig { frame: OpusFrameDuration::Ms10, ..ALWAYS }, 0, 100);
        assert_eq!(short.len(), 100);
        assert_eq!(short[1].rtp_timestamp, 480);
    }

    #[test]
    fn packets_get_long_and_short_again_without_a_gap() {
        let mut encoder = OpusEncoder::new(ALWAYS).unwrap();
        let mut sent = Vec::new();
        for i in 0..30 {
            // In the middle of a packet, each time.
            match i {
                3 => encoder.set_packet_duration(Some(Duration::from_millis(60))),
                17 => encoder.set_packet_duration(None),
                _ => {}
            }
            sent.extend(encoder.encode(&voice(i)).unwrap());
        }
        let lengths: Vec<_> = sent.iter().map(|packet| opus_packet_samples(&packet.data).unwrap()).collect();
        assert_eq!(lengths, [960, 960, 2_880, 2_880, 2_880, 960, 960, 960, 960]);
        for pair in sent.windows(2) {
            let samples = opus_packet_samples(&pair[0].data).unwrap() as u32;
            assert_eq!(pair[1].rtp_timestamp, pair[0].rtp_timestamp + samples);
            assert_eq!(pair[1].time, pair[0].time + pair[0].duration);
        }
    }

    #[test]
    fn sound_survives_and_is_mono() {
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = Vec::new();
        for packet in packets(ALWAYS, 0, 200) {
            decoder.decode(&packet.data, &mut out).unwrap();
        }
        assert_eq!(out.len(), 200 * BLOCK_SAMPLES);
        let original: Vec<f32> = (0..200).flat_map(|i| voice(i).samples).collect();
        let ratio = energy(&out[48_000..]) / energy(&original[48_000..]);
        assert!((0.7..1.4).contains(&ratio), "{ratio}");
    }

    #[test]
    fn a_lost_packet_is_restored_from_the_next_better_than_by_guessing() {
        let sent = packets(ALWAYS, 20, 200);
        let (mut whole, mut guessed, mut restored) = (Vec::new(), Vec::new(), Vec::new());
        let mut decoders = [0; 3].map(|_| OpusDecoder::new().unwrap());
        for (i, packet) in sent.iter().enumerate() {
            decoders[0].decode(&packet.data, &mut whole).unwrap();
            if i % 7 == 6 && i + 1 < sent.len() {
                decoders[1].conceal(960, &mut guessed).unwrap();
                decoders[2].decode_fec(&sent[i + 1].data, 960, &mut restored).unwrap();
            } else {
                decoders[1].decode(&packet.data, &mut guessed).unwrap();
                decoders[2].decode(&packet.data, &mut restored).unwrap();
            }
        }
        assert_eq!((whole.len(), guessed.len()), (restored.len(), restored.len()));
        let (by_guess, by_fec) = (difference(&whole, &guessed), difference(&whole, &restored));
        assert!(by_fec < by_guess / 2.0, "FEC {by_fec}, PLC {by_guess}");
    }

    #[test]
    fn whether_a_packet_carries_a_copy_of_the_one_before_can_be_told() {
        let with = packets(ALWAYS, 20, 100).iter().filter(|p| opus_packet_has_fec(&p.data)).count();
        assert!(with > 25, "{with} of 50: in pauses none is made");
        assert!(!packets(ALWAYS, 0, 100).iter().any(|p| opus_packet_has_fec(&p.data)));
        assert!(
            !opus_packet_has_fec(&[]) && !opus_packet_has_fec(&[0x08]) && !opus_packet_has_fec(&[0x0b, 0xff])
        );
    }

    #[test]
    fn the_beginning_of_a_silence_is_sent_with_as_many_packets_as_the_sound_before_is_repeated_in() {
        for copies in 0..4 {
            let mut encoder = OpusEncoder::new(OpusEncoderConfig::default()).unwrap();
            encoder.set_silence_sent(copies);
            let silent = (0..200).filter_map(|i| {
                let block = AudioBlock::silence(MediaTime::from_millis(i as u64 * 10));
                encoder.encode(&if i < 60 { voice(i) } else { block }).unwrap()
            });
            let silent: Vec<_> = silent.skip_while(|packet| !opus_packet_is_silence(&packet.data)).collect();
            let first = silent.iter().take_while(|packet| opus_packet_is_silence(&packet.data));
            let first: Vec<_> = first.map(|packet| packet.rtp_timestamp).collect();
            assert_eq!(first.len(), copies.max(1));
            assert!(first.windows(2).all(|pair| pair[1] == pair[0] + 960), "{first:?}");
        }
    }

    #[test]
    fn silence_is_not_sent_but_time_goes_on() {
        let mut encoder =
            OpusEncoder::new(OpusEncoderConfig { timestamp_offset: 7, ..Default::default() }).unwrap();
        let mut sent = Vec::new();
        for i in 0..400 {
            let block = if (100..300).contains(&i) {
                AudioBlock::silence(MediaTime::from_millis(i as u64 * 10))
            } else {
                voice(i)
            };
            sent.extend(encoder.encode(&block).unwrap());
        }
        let in_silence = sent.iter().filter(|f| (150..300).contains(&(f.time.as_micros() / 10_000))).count();
        assert!(in_silence < 10, "{in_silence} of 75 packets sent");
        assert!(sent.iter().all(|f| u64::from(f.rtp_timestamp) == 7 + f.time.as_micros() * 48 / 1000));
    }

    #[test]
    fn a_gap_in_the_capture_shows_in_the_timestamps() {
        let mut encoder = OpusEncoder::new(ALWAYS).unwrap();
        let mut stamps = Vec::new();
        for i in (0..4).chain(104..108) {
            stamps.extend(encoder.encode(&voice(i)).unwrap().map(|f| f.rtp_timestamp));
        }
        assert_eq!(stamps, [0, 960, 104 * 480, 106 * 480]);
    }

    #[test]
    fn the_bitrate_changes_at_once() {
        let mut encoder = OpusEncoder::new(ALWAYS).unwrap();
        let mut bytes = |kbps: u64| {
            encoder.set_bitrate(Bitrate::from_kbps(kbps).unwrap()).unwrap();
            (0..100).filter_map(|i| encoder.encode(&voice(i)).unwrap()).map(|f| f.data.len()).sum::<usize>()
        };
        let (much, little) = (bytes(64), bytes(12));
        assert!(little * 3 < much, "{little} against {much}");
        assert!(Bitrate::MAX.as_bps() > 1_000_000 && encoder.set_bitrate(Bitrate::MAX).is_ok());
    }

    #[test]
    fn concealment_gives_the_length_that_is_missing() {
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = Vec::new();
        decoder.decode(&packets(ALWAYS, 0, 2)[0].data, &mut out).unwrap();
        out.clear();
        decoder.conceal(480, &mut out).unwrap();
        assert_eq!(out.len(), 480);
        decoder.conceal(1, &mut out).unwrap();
        assert_eq!(out.len(), 600);
    }

    /// Found by fuzzing.
    #[test]
    fn what_overshoots_full_scale_is_cut_off() {
        let mut encoder = OpusEncoder::new(ALWAYS).unwrap();
        encoder.set_bitrate(Bitrate::from_kbps(96).unwrap()).unwrap();
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = Vec::new();
        for block in 0..40 {
            let mut square = AudioBlock::silence(MediaTime::from_millis(block * 10));
            for (index, sample) in square.samples.iter_mut().enumerate() {
                *sample = if index / 48 % 2 == 0 { 1.0 } else { -1.0 };
            }
            if let Some(packet) = encoder.encode(&square).unwrap() {
                decoder.decode(&packet.data, &mut out).unwrap();
            }
        }
        assert!(out.contains(&1.0) && out.iter().all(|sample| (-1.0..=1.0).contains(sample)));
    }

    proptest::proptest! {
        #[test]
        fn no_packet_from_the_network_upsets_the_decoder(data in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let mut decoder = OpusDecoder::new().unwrap();
            let mut out = Vec::new();
            let known = opus_packet_samples(&data);
            if decoder.decode(&data, &mut out).is_ok() {
                proptest::prop_assert_eq!(Some(out.len()), known);
            } else {
                proptest::prop_assert!(out.is_empty());
            }
            let _ = decoder.decode_fec(&data, 960, &mut out);
            proptest::prop_assert!(out.len() <= 2 * MAX_PACKET_SAMPLES);
            proptest::prop_assert!(out.iter().all(|s| (-1.0..=1.0).contains(s)));
        }
    }
}
