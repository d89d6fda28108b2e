//! Where decoded pictures go.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use ahoy_media_types::{FrameRate, I420Buffer, MediaTime, VideoFrame};

use crate::scale::Scaler;
use crate::y4m::Y4mWriter;

/// Frames that wait for the disk: a quarter of a second at 30 frames a second, 11 MB at 720p. When the queue is full, new
/// frames are dropped and counted: playout never waits for a disk.
const QUEUED_FRAMES: usize = 8;

/// Takes each picture at the moment it is to be seen.
pub trait FrameSink: Send {
    /// Shows `frame`; `now` is when. Must return at once: the playout thread calls it.
    fn present(&mut self, frame: &VideoFrame, now: MediaTime);
}

/// Shows nothing, and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NullSink {
    presented: u64,
}

impl NullSink {
    /// A sink that has shown nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many frames were presented.
    pub fn presented(&self) -> u64 {
        self.presented
    }
}

impl FrameSink for NullSink {
    fn present(&mut self, _: &VideoFrame, _: MediaTime) {
        self.presented += 1;
    }
}

/// Why a recording can't be made or is not complete.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The file could not be created.
    #[error("the recording {} can't be created ({cause}): check that the folder exists and that you may write to it",
        path.display())]
    Create {
        /// The path asked for.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// Writing failed; what was written before can be played.
    #[error("the recording {} stopped after {written} pictures ({cause}): make room on the disk", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Pictures written before that.
        written: u64,
        /// The system's reason.
        cause: io::Error,
    },
    /// The system gives this program no more threads.
    #[error("no thread could be started for the recording ({0}): close other programs and try again")]
    Thread(io::Error),
}

/// What became of the frames presented to a [`Y4mSink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Pictures in the file.
    pub written: u64,
    /// Pictures left out because the disk was too slow.
    pub dropped: u64,
}

/// Writes each presented frame into a `.y4m` file, on a thread of its own.
///
/// The file holds one picture for each presented frame and none for freezes, so that its pictures can be compared with
/// what was sent one by one; it plays at the speed it was seen only where no frame was lost. A `.y4m` file has one size,
/// that of the first frame: later frames of another size are scaled to it, with bars where their proportions differ.
#[derive(Debug)]
pub struct Y4mSink {
    path: PathBuf,
    queue: Option<SyncSender<VideoFrame>>,
    writer: Option<JoinHandle<(u64, io::Result<()>)>>,
    dropped: Arc<AtomicU64>,
}

impl Y4mSink {
    /// Creates the file, replacing one of that name. `rate` is written into its header.
    pub fn create(path: &Path, rate: FrameRate) -> Result<Self, SinkError> {
        let file = File::create(path).map_err(|cause| SinkError::Create { path: path.to_owned(), cause })?;
        Self::start(path, BufWriter::new(file), rate)
    }

    fn start(path: &Path, output: impl Write + Send + 'static, rate: FrameRate) -> Result<Self, SinkError> {
        let (queue, frames) = sync_channel(QUEUED_FRAMES);
        let writer = thread::Builder::new()
            .name("ahoy-recorder".to_owned())
            .spawn(move || write_frames(&frames, output, rate))
            .map_err(SinkError::Thread)?;
        let dropped = Arc::new(AtomicU64::new(0));
        Ok(Self { path: path.to_owned(), queue: Some(queue), writer: Some(writer), dropped })
    }

    /// How many frames were left out so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes out what is queued and closes the file.
    pub fn finish(mut self) -> Result<Recorded, SinkError> {
        self.close()
    }

    fn close(&mut self) -> Result<Recorded, SinkError> {
        drop(self.queue.take());
        let dropped = self.dropped();
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok((written, Ok(())))) => Ok(Recorded { written, dropped }),
            Some(Ok((written, Err(cause)))) => {
                Err(SinkError::Write { path: self.path.clone(), written, cause })
            }
            Some(Err(_)) => {
                let cause = io::Error::other("the recorder failed inside");
                Err(SinkError::Write { path: self.path.clone(), written: 0, cause })
            }
            None => Ok(Recorded { written: 0, dropped }),
        }
    }
}

impl FrameSink for Y4mSink {
    fn present(&mut self, frame: &VideoFrame, _: MediaTime) {
        let Some(queue) = &self.queue else { return };
        match queue.try_send(frame.clone()) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Y4mSink {
    fn drop(&mut self) {
        if self.writer.is_some()
            && let Err(error) = self.close()
        {
            tracing::error!("{error}");
        }
    }
}

/// Writes until the queue is closed or the disk fails, which ends the thread and so lets later frames be counted as
/// dropped. Returns how many pictures the file has.
fn write_frames(frames: &Receiver<VideoFrame>, output: impl Write, rate: FrameRate) -> (u64, io::Result<()>) {
    let mut written = 0;
    let result = write_all(frames, output, rate, &mut written);
    if let Err(error) = &result {
        tracing::error!(written, "the recording stopped: {error}");
    }
    (written, result)
}

fn write_all(
    frames: &Receiver<VideoFrame>,
    output: impl Write,
    rate: FrameRate,
    written: &mut u64,
) -> io::Result<()> {
    let Ok(first) = frames.recv() else { return Ok(()) };
    let mut file = Y4mWriter::new(output, first.size(), rate)?;
    let mut scaler = Scaler::new();
    let mut scaled: Option<I420Buffer> = None;
    for frame in std::iter::once(first).chain(frames) {
        if frame.size() == file.size() {
            file.write_frame(&frame.buffer)?;
        } else {
            let scaled = scaled.get_or_insert_with(|| I420Buffer::black(file.size()));
            scaler.fit(&frame.buffer, scaled);
            file.write_frame(scaled)?;
        }
        *written += 1;
    }
    file.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::mpsc::Sender;
    use std::sync::mpsc::channel;

    use ahoy_media_types::{ColorMatrix, FrameId, FrameSize};

    use super::*;
    use crate::y4m::Y4mReader;

    fn frame(width: u64, height: u64, luma: u8) -> VideoFrame {
        let mut buffer = I420Buffer::black(FrameSize::new(width, height).unwrap());
        buffer.planes_mut()[0].data.fill(luma);
        VideoFrame {
            buffer: buffer.into(),
            id: FrameId(luma.into()),
            captured_at: MediaTime::ZERO,
            color: ColorMatrix::Bt601,
        }
    }

    fn lumas(bytes: Vec<u8>) -> (FrameSize, Vec<u8>) {
        let mut reader = Y4mReader::new(Cursor::new(bytes)).unwrap();
        let size = reader.header().size;
        let mut picture = I420Buffer::black(size);
        let mut lumas = Vec::new();
        while reader.next_frame(Some(&mut picture)).unwrap() {
            lumas.push(picture.y()[picture.y().len() / 2 + size.width() as usize / 2]);
        }
        (size, lumas)
    }

    #[test]
    fn each_presented_frame_is_one_picture_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("call.y4m");
        let mut sink = Y4mSink::create(&path, FrameRate::FPS_30).unwrap();
        for luma in [40, 50, 60] {
            sink.present(&frame(32, 16, luma), MediaTime::ZERO);
        }
        assert_eq!(sink.finish().unwrap(), Recorded { written: 3, dropped: 0 });
        let (size, lumas) = lumas(std::fs::read(&path).unwrap());
        assert_eq!((size, lumas), (FrameSize::new(32, 16).unwrap(), vec![40, 50, 60]));
    }

    #[test]
    fn frames_of_another_size_are_scaled_to_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("call.y4m");
        let mut sink = Y4mSink::create(&path, FrameRate::FPS_30).unwrap();
        sink.present(&frame(64, 36, 40), MediaTime::ZERO);
        sink.present(&frame(128, 72, 90), MediaTime::ZERO);
        drop(sink);
        let (size, lumas) = lumas(std::fs::read(&path).unwrap());
        assert_eq!((size, lumas), (FrameSize::new(64, 36).unwrap(), vec![40, 90]));
    }

    #[test]
    fn a_folder_that_does_not_exist_is_refused_with_a_sentence() {
        let refused = Y4mSink::create(Path::new("/nonexistent/call.y4m"), FrameRate::FPS_30).unwrap_err();
        assert!(refused.to_string().contains("/nonexistent/call.y4m"), "{refused}");
    }

    /// A disk that stands still until it is told otherwise, then fails.
    struct Stalled {
        reached: Sender<()>,
        release: Receiver<()>,
    }

    impl Write for Stalled {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.reached.send(());
            let _ = self.release.recv();
            Err(io::Error::other("the disk is full"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_disk_costs_frames_but_never_holds_up_playout() {
        let (reached, was_reached) = channel();
        let (release, released) = channel();
        let disk = Stalled { reached, release: released };
        let mut sink = Y4mSink::start(Path::new("call.y4m"), disk, FrameRate::FPS_30).unwrap();
        sink.present(&frame(32, 16, 1), MediaTime::ZERO);
        was_reached.recv().unwrap();
        for _ in 0..QUEUED_FRAMES + 5 {
            sink.present(&frame(32, 16, 2), MediaTime::ZERO);
        }
        assert_eq!(sink.dropped(), 5);
        drop(release);
        let error = sink.finish().unwrap_err().to_string();
        assert!(error.contains("stopped after 0 pictures") && error.contains("the disk is full"), "{error}");
    }

    #[test]
    fn a_recording_without_frames_ends_without_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let sink = Y4mSink::create(&folder.path().join("call.y4m"), FrameRate::FPS_30).unwrap();
        assert_eq!(sink.finish().unwrap(), Recorded { written: 0, dropped: 0 });
    }

    #[test]
    fn the_null_sink_counts() {
        let mut sink = NullSink::new();
        sink.present(&frame(16, 16, 1), MediaTime::ZERO);
        assert_eq!(sink.presented(), 1);
    }
}
