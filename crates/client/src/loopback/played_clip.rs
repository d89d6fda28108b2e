//! The clip that the other end of a call plays, where that is another program: what it captures is known from the file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ahoy_measure::seen::{Rounds, is_looked_at};
use ahoy_media::y4m::{Y4mError, Y4mReader};
use ahoy_media_types::{FrameId, FrameRate, I420Buffer, MediaTime};

/// A clip whose pictures carry their places in it.
pub(super) struct PlayedClip {
    frames: Y4mReader<File>,
    pictures: u64,
    /// Of the picture that would be read next.
    place: u64,
    rounds: Rounds,
    /// Number of the first picture of all rounds that was not taken for captured yet.
    next: Option<u64>,
}

impl PlayedClip {
    pub(super) fn open(path: &Path) -> Result<Self, Y4mError> {
        let mut frames = Y4mReader::new(File::open(path)?)?;
        let mut pictures = 0;
        while frames.next_frame(None)? {
            pictures += 1;
        }
        frames.rewind()?;
        let rate = frames.header().rate.unwrap_or(FrameRate::FPS_30);
        Ok(Self { frames, pictures, place: 0, rounds: Rounds::new(pictures, rate), next: None })
    }

    /// Number among all rounds of the picture at this place in the clip, which was shown at `at`; `None` for the last one once
    /// more.
    pub(super) fn number(&mut self, place: FrameId, at: MediaTime) -> Option<u64> {
        self.rounds.number(place, at)
    }

    /// Those [looked at](is_looked_at) of the pictures that were captured since the last time, up to `number`. Nothing before
    /// the first: what was captured until then is not known.
    pub(super) fn captured(&mut self, number: u64) -> Vec<(u64, Arc<I420Buffer>)> {
        let first = self.next.unwrap_or(number);
        self.next = Some(number + 1);
        (first..=number).filter(|number| is_looked_at(*number)).filter_map(|n| self.original(n)).collect()
    }

    /// The same at the end of the call.
    pub(super) fn captured_until(&mut self, at: MediaTime) -> Vec<(u64, Arc<I420Buffer>)> {
        self.rounds.due(at).map(|number| self.captured(number)).unwrap_or_default()
    }

    fn original(&mut self, number: u64) -> Option<(u64, Arc<I420Buffer>)> {
        match self.read(number % self.pictures) {
            Ok(picture) => Some((number, Arc::new(picture))),
            Err(error) => {
                tracing::warn!(%error, number, "a picture of the clip could not be read and is not compared");
                None
            }
        }
    }

    fn read(&mut self, place: u64) -> Result<I420Buffer, Y4mError> {
        if place < self.place {
            self.frames.rewind()?;
            self.place = 0;
        }
        while self.place < place {
            self.frames.next_frame(None)?;
            self.place += 1;
        }
        let mut picture = I420Buffer::black(self.frames.header().size);
        self.frames.next_frame(Some(&mut picture))?;
        self.place += 1;
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use ahoy_media::y4m::Y4mWriter;
    use ahoy_media_types::FrameSize;

    use super::*;

    /// A clip in which every sample of picture n is 20 + n.
    fn clip(pictures: u8) -> PlayedClip {
        let size = FrameSize::new(32, 32).unwrap();
        let mut writer = Y4mWriter::new(Vec::new(), size, FrameRate::FPS_30).unwrap();
        for number in 0..pictures {
            let mut picture = I420Buffer::black(size);
            picture.packed_mut().fill(20 + number);
            writer.write_frame(&picture).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.y4m");
        std::fs::write(&path, writer.finish().unwrap()).unwrap();
        PlayedClip::open(&path).unwrap()
    }

    fn originals(captured: &[(u64, Arc<I420Buffer>)]) -> Vec<(u64, u8)> {
        captured.iter().map(|(number, picture)| (*number, picture.y()[0])).collect()
    }

    #[test]
    fn originals_are_the_pictures_at_their_places_in_every_round() {
        let mut clip = clip(10);
        let at = MediaTime::from_millis;
        let first = clip.number(FrameId(5), at(0)).unwrap();
        assert!(clip.captured(first).is_empty());
        let later = clip.number(FrameId(2), at(566)).unwrap();
        assert_eq!(originals(&clip.captured(later)), [(7, 27), (14, 24), (21, 21)]);
        assert_eq!(originals(&clip.captured_until(at(566 + 500 + 300))), [(28, 28)]);
    }
}
