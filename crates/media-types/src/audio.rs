//! Uncompressed audio.

use std::time::Duration;

use crate::MediaTime;

/// Samples per second of all audio between capture and playout.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in one [`AudioBlock`].
pub const BLOCK_SAMPLES: usize = 480;
/// Time that one [`AudioBlock`] covers.
pub const BLOCK_DURATION: Duration = Duration::from_millis(10);

/// 10 ms of mono audio at 48 kHz: the unit that every audio stage takes and gives.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioBlock {
    /// Samples from -1.0 to 1.0.
    pub samples: [f32; BLOCK_SAMPLES],
    /// When the first sample was at the microphone (or made by a synthetic source).
    pub captured_at: MediaTime,
}

impl AudioBlock {
    /// A block of digital silence.
    pub const fn silence(captured_at: MediaTime) -> Self {
        Self { samples: [0.0; BLOCK_SAMPLES], captured_at }
    }

    /// Root mean square of the samples, 0.0 to 1.0.
    pub fn rms(&self) -> f32 {
        (self.samples.iter().map(|s| s * s).sum::<f32>() / BLOCK_SAMPLES as f32).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loudness_is_the_root_mean_square() {
        let mut block = AudioBlock::silence(MediaTime::ZERO);
        assert_eq!(block.rms(), 0.0);
        block.samples.fill(-0.5);
        assert!((block.rms() - 0.5).abs() < 1e-6);
    }
}
