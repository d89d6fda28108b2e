//! What a call showed and played, kept in files. Writing happens on threads of its own: a slow disk costs the recording,
//! not the call.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ahoy_media::playout::{FrameSink as _, Y4mSink};
use ahoy_media_types::{BLOCK_SAMPLES, FrameRate, MediaTime, SAMPLE_RATE, VideoFrame};

use crate::problem::{Problem, ProblemCode};

/// Blocks of sound waiting for the disk: 2.5 s. When it is full the block is left out and counted.
const QUEUED_BLOCKS: usize = 256;

/// Why a recording can't be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file for pictures.
    #[error(transparent)]
    Pictures(#[from] ahoy_media::playout::SinkError),
    /// The file for sound.
    #[error("{} can't be written ({cause}): check that the folder exists and that you may write to it", path.display())]
    Sound {
        /// The file.
        path: PathBuf,
        /// The reason.
        cause: hound::Error,
    },
    /// A thread could not be started.
    #[error("the system gives no more threads: close some programs and try again")]
    Thread(#[from] std::io::Error),
}

/// A recording of pictures. Cloning shares it: one end gives pictures, the other finishes.
#[derive(Clone)]
pub(crate) struct PictureRecording(Arc<Mutex<Option<Y4mSink>>>);

impl PictureRecording {
    pub(crate) fn create(path: &Path, rate: FrameRate) -> Result<Self, RecordingError> {
        Ok(Self(Arc::new(Mutex::new(Some(Y4mSink::create(path, rate)?)))))
    }

    pub(crate) fn add(&self, frame: &VideoFrame, at: MediaTime) {
        if let Some(sink) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            sink.present(frame, at);
        }
    }

    /// Closes the file; whatever is not in it is a problem.
    pub(crate) fn finish(&self, problems: &mut Vec<Problem>) {
        let sink = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match sink.map(Y4mSink::finish) {
            None => {}
            Some(Ok(recorded)) if recorded.dropped == 0 => {}
            Some(Ok(recorded)) => {
                let message = format!(
                    "{} pictures are missing from the recording: record to a faster disk or in a smaller size",
                    recorded.dropped
                );
                problems.push(Problem::new(ProblemCode::Recording, message));
            }
            Some(Err(error)) => problems.push(Problem::new(ProblemCode::Recording, error.to_string())),
        }
    }
}

/// A recording of sound: 48 kHz mono, 16 bits.
pub(crate) struct SoundRecording {
    path: PathBuf,
    writer: thread::JoinHandle<Result<(), hound::Error>>,
}

/// Where the recording gets its sound.
pub(crate) struct SoundInput {
    blocks: SyncSender<[f32; BLOCK_SAMPLES]>,
    missing: u64,
}

impl SoundInput {
    pub(crate) fn add(&mut self, samples: &[f32; BLOCK_SAMPLES]) {
        if self.blocks.try_send(*samples).is_err() {
            if self.missing == 0 {
                tracing::warn!("the recording of the sound has gaps: the disk is too slow or full");
            }
            self.missing += 1;
        }
    }
}

impl SoundRecording {
    pub(crate) fn create(path: &Path) -> Result<(Self, SoundInput), RecordingError> {
        let format = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let file = hound::WavWriter::create(path, format)
            .map_err(|cause| RecordingError::Sound { path: path.to_owned(), cause })?;
        let (blocks, queue) = sync_channel(QUEUED_BLOCKS);
        let writer =
            thread::Builder::new().name("ahoy-recorder".into()).spawn(move || write(file, &queue))?;
        Ok((Self { path: path.to_owned(), writer }, SoundInput { blocks, missing: 0 }))
    }

    /// Waits until all is written, which is when the input is gone.
    pub(crate) fn finish(self, problems: &mut Vec<Problem>) {
        let cause = match self.writer.join() {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the recorder failed inside".to_owned(),
        };
        let path = self.path.display();
        let message = format!("{path} is not complete ({cause}): check that there is room on the disk");
        problems.push(Problem::new(ProblemCode::Recording, message));
    }
}

fn write(
    mut file: hound::WavWriter<BufWriter<File>>,
    queue: &Receiver<[f32; BLOCK_SAMPLES]>,
) -> Result<(), hound::Error> {
    for block in queue {
        for sample in block {
            file.write_sample((sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16)?;
        }
    }
    file.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_sound_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("take.wav");
        let (recording, mut input) = SoundRecording::create(&path).unwrap();
        for level in [0.0, 0.5, -1.0, 2.0] {
            input.add(&[level; BLOCK_SAMPLES]);
        }
        drop(input);
        let mut problems = Vec::new();
        recording.finish(&mut problems);
        assert_eq!(problems, []);
        let samples: Vec<i16> =
            hound::WavReader::open(&path).unwrap().into_samples().map(Result::unwrap).collect();
        let firsts: Vec<_> = samples.chunks(BLOCK_SAMPLES).map(|block| block[0]).collect();
        assert_eq!((samples.len(), &firsts[..]), (4 * BLOCK_SAMPLES, &[0, 16_383, -32_767, 32_767][..]));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_a_problem_of_the_report() {
        let (recording, mut input) = SoundRecording::create(Path::new("/dev/full")).unwrap();
        // More than the file's buffer holds.
        for _ in 0..QUEUED_BLOCKS {
            input.add(&[0.1; BLOCK_SAMPLES]);
        }
        drop(input);
        let mut problems = Vec::new();
        recording.finish(&mut problems);
        assert!(
            problems[0].message.contains("/dev/full") && problems[0].message.contains("room on the disk")
        );
    }
}
