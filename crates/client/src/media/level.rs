//! How loud it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The loudest sample since the last look. Cloning shares it: one side hears, the other looks.
///
/// Samples are not negative here, so their bits are in the same order as they are.
#[derive(Clone, Default)]
pub(crate) struct Loudest(Arc<AtomicU32>);

impl Loudest {
    pub(crate) fn hear(&self, samples: &[f32]) {
        let loudest = samples.iter().fold(0.0, |loudest: f32, sample| loudest.max(sample.abs()));
        self.0.fetch_max(loudest.min(1.0).to_bits(), Ordering::Relaxed);
    }

    /// 0.0 to 1.0.
    pub(crate) fn take(&self) -> f32 {
        f32::from_bits(self.0.swap(0, Ordering::Relaxed))
    }
}
