//! A `.y4m` clip as a source: read ahead on a thread of its own, played in a loop.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use ahoy_media_types::{ColorMatrix, FrameId, FramePool, FrameRate, FrameSize, I420Buffer};

use super::paced::Painter;
use super::thread::{Outlet, SourceThread, StopSignal};
use super::{CaptureError, CaptureEvent, VideoFormat};
use crate::scale::Scaler;
use crate::y4m::{Y4mError, Y4mHeader, Y4mReader};

/// Pictures read before they are due: 100 ms at 30 frames a second, which covers the seek of a slow disk. When the queue
/// is full the reader waits; when it runs empty the source is late and skips.
const READ_AHEAD: usize = 3;
/// How often a source that waits for its disk looks whether it should stop.
const STOP_CHECK: Duration = Duration::from_millis(50);
/// Material with more lines than standard definition has is taken for BT.709, as players do: the file doesn't say.
const SD_LINES: u32 = 576;

/// A picture with the number of the deadline that it was read for.
type Queued = (u64, I420Buffer);

/// Plays a clip.
#[derive(Debug)]
pub(crate) struct Clip {
    // Before the thread, so that a reader that waits for room in the queue is woken first.
    queue: Receiver<Queued>,
    _reader: SourceThread,
    header: Y4mHeader,
    name: String,
}

impl Clip {
    /// Opens the file, makes sure that it has a picture, and starts to read ahead.
    pub(crate) fn open(path: &Path, format: VideoFormat, outlet: Outlet) -> Result<Self, CaptureError> {
        let open_error = |cause| CaptureError::ClipOpen { path: path.to_owned(), cause };
        // Asked before opening: opening a pipe would wait for whoever writes into it.
        if !fs::metadata(path).map_err(open_error)?.is_file() {
            return Err(CaptureError::ClipNotAFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(open_error)?;
        let clip_error = |reason| CaptureError::Clip { path: path.to_owned(), reason };
        let mut frames = Y4mReader::new(file).map_err(clip_error)?;
        frames.next_frame(None).map_err(clip_error)?;
        frames.rewind().map_err(clip_error)?;
        let header = frames.header();
        let (sender, queue) = sync_channel(READ_AHEAD);
        let playback = Playback {
            frames,
            rate: header.rate.unwrap_or(format.rate),
            passed: 0,
            warned: false,
            path: path.to_owned(),
        };
        let reader =
            SourceThread::spawn("ahoy-clip", move |_| playback.read_ahead(format, &sender, &outlet))?;
        let name = path.file_name().unwrap_or(OsStr::new("clip")).to_string_lossy().into_owned();
        Ok(Self { queue, _reader: reader, header, name })
    }
}

impl Painter for Clip {
    fn describe(&self) -> (FrameSize, Option<FrameRate>, String) {
        (self.header.size, self.header.rate, self.name.clone())
    }

    fn color(&self) -> ColorMatrix {
        if self.header.size.height() > SD_LINES { ColorMatrix::Bt709 } else { ColorMatrix::Bt601 }
    }

    fn paint(&mut self, _: FrameId, deadline: u64, stop: &StopSignal) -> Option<I420Buffer> {
        loop {
            match self.queue.recv_timeout(STOP_CHECK) {
                Ok((number, picture)) if number >= deadline => return Some(picture),
                // Read for a deadline that has passed.
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) if !stop.is_set() => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

/// The position in a clip that is played round and round.
struct Playback<R> {
    frames: Y4mReader<R>,
    rate: FrameRate,
    /// Pictures read or passed over since the beginning, all rounds together.
    passed: u64,
    warned: bool,
    path: PathBuf,
}

impl<R: Read + Seek> Playback<R> {
    fn read_ahead(mut self, format: VideoFormat, queue: &SyncSender<Queued>, outlet: &Outlet) {
        let own = self.frames.header();
        let pool = FramePool::new();
        let mut scaler = Scaler::new();
        let mut current = I420Buffer::black(own.size);
        for deadline in 0.. {
            match self.advance_to(deadline, format.rate, &mut current, outlet) {
                Ok(true) if own.full_range => limit_range(&mut current),
                Ok(_) => {}
                Err(reason) => {
                    let reason = CaptureError::Clip { path: self.path, reason };
                    outlet.report(CaptureEvent::Lost { reason });
                    return;
                }
            }
            let mut picture = pool.take(format.size);
            scaler.fit(&current, &mut picture);
            if queue.send((deadline, picture)).is_err() {
                return;
            }
        }
    }

    /// Reads on to the picture that is shown at `deadline` of `rate`, so that a clip keeps its speed whatever rate it is
    /// played at; returns whether that is another one than before.
    fn advance_to(
        &mut self,
        deadline: u64,
        rate: FrameRate,
        current: &mut I420Buffer,
        outlet: &Outlet,
    ) -> Result<bool, Y4mError> {
        let wanted = frame_at(deadline, rate, self.rate);
        let first = self.passed;
        while self.passed <= wanted {
            let into = (self.passed == wanted).then_some(&mut *current);
            match self.frames.next_frame(into) {
                Ok(true) => self.passed += 1,
                Ok(false) => self.frames.rewind()?,
                Err(reason @ (Y4mError::Truncated { .. } | Y4mError::Damaged { .. })) => {
                    if !std::mem::replace(&mut self.warned, true) {
                        let reason = CaptureError::Clip { path: self.path.clone(), reason };
                        outlet.report(CaptureEvent::Warning(reason));
                    }
                    self.frames.rewind()?;
                }
                Err(reason) => return Err(reason),
            }
        }
        Ok(self.passed > first)
    }
}

/// Number of the clip's picture that is shown at `deadline` of `rate`.
fn frame_at(deadline: u64, rate: FrameRate, own: FrameRate) -> u64 {
    let ((rate_n, rate_d), (own_n, own_d)) = (rate.as_fraction(), own.as_fraction());
    let wide = |v: u32| u128::from(v);
    let frame = u128::from(deadline) * wide(rate_d) * wide(own_n) / (wide(rate_n) * wide(own_d));
    u64::try_from(frame).unwrap_or(u64::MAX)
}

/// From 0–255 to the 16–235 (luma) and 16–240 (chroma) that all of Ahoy's pictures use.
fn limit_range(picture: &mut I420Buffer) {
    for (plane, span) in picture.planes_mut().into_iter().zip([219_u32, 224, 224]) {
        for sample in plane.data {
            *sample = (16 + (u32::from(*sample) * span + 127) / 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ahoy_media_types::VideoFrame;

    use super::*;
    use crate::capture::thread::Counters;
    use crate::slot::LatestSlot;
    use crate::y4m::Y4mWriter;

    fn size(width: u64, height: u64) -> FrameSize {
        FrameSize::new(width, height).unwrap()
    }

    fn format(width: u64, height: u64, fps: u32) -> VideoFormat {
        VideoFormat { size: size(width, height), rate: FrameRate::from_fps(fps).unwrap() }
    }

    /// A clip in which every sample of picture n is 20 + 10 n.
    fn clip(pictures: u8, size: FrameSize, fps: u32) -> Vec<u8> {
        let mut writer = Y4mWriter::new(Vec::new(), size, FrameRate::from_fps(fps).unwrap()).unwrap();
        for number in 0..pictures {
            let mut picture = I420Buffer::black(size);
            picture.packed_mut().fill(20 + 10 * number);
            writer.write_frame(&picture).unwrap();
        }
        writer.finish().unwrap()
    }

    fn outlet() -> (Outlet, Receiver<CaptureEvent>) {
        let (events, reported) = sync_channel(8);
        let frames = LatestSlot::<VideoFrame>::new();
        (Outlet { frames, events, counters: Arc::new(Counters::default()) }, reported)
    }

    struct Played {
        clip: Clip,
        events: Receiver<CaptureEvent>,
        _folder: tempfile::TempDir,
    }

    fn open(bytes: &[u8], format: VideoFormat) -> Result<Played, CaptureError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.y4m");
        fs::write(&path, bytes).unwrap();
        let (outlet, events) = outlet();
        Ok(Played { clip: Clip::open(&path, format, outlet)?, events, _folder: folder })
    }

    fn refusal(bytes: &[u8]) -> String {
        open(bytes, format(32, 32, 30)).map(|_| ()).unwrap_err().to_string()
    }

    impl Played {
        fn luma(&mut self, deadline: u64) -> u8 {
            let picture = self.clip.paint(FrameId(0), deadline, &StopSignal::default()).unwrap();
            let size = picture.size();
            picture.y()[(size.height() / 2 * size.width() + size.width() / 2) as usize]
        }
    }

    #[test]
    fn a_clip_is_played_in_a_loop() {
        let mut played = open(&clip(3, size(32, 32), 30), format(32, 32, 30)).unwrap();
        let lumas: Vec<_> = (0..7).map(|deadline| played.luma(deadline)).collect();
        assert_eq!(lumas, [20, 30, 40, 20, 30, 40, 20]);
    }

    #[test]
    fn a_clip_keeps_its_speed_at_other_rates() {
        let mut slower = open(&clip(6, size(32, 32), 30), format(32, 32, 15)).unwrap();
        assert_eq!((0..4).map(|n| slower.luma(n)).collect::<Vec<_>>(), [20, 40, 60, 20]);
        let mut faster = open(&clip(6, size(32, 32), 30), format(32, 32, 60)).unwrap();
        assert_eq!((0..5).map(|n| faster.luma(n)).collect::<Vec<_>>(), [20, 20, 30, 30, 40]);
        assert_eq!(frame_at(u64::MAX, FrameRate::FPS_30, FrameRate::from_fps(120).unwrap()), u64::MAX);
    }

    #[test]
    fn pictures_for_deadlines_that_passed_are_left_out() {
        let mut played = open(&clip(6, size(32, 32), 30), format(32, 32, 30)).unwrap();
        assert_eq!(played.luma(0), 20);
        assert_eq!(played.luma(4), 60);
    }

    #[test]
    fn a_clip_of_another_shape_gets_bars() {
        let mut played = open(&clip(1, size(64, 33), 30), format(64, 64, 30)).unwrap();
        let picture = played.clip.paint(FrameId(0), 0, &StopSignal::default()).unwrap();
        assert_eq!((picture.y()[0], picture.y()[32 * 64]), (16, 20));
        assert_eq!(played.clip.describe(), (size(64, 33), Some(FrameRate::FPS_30), "clip.y4m".to_owned()));
    }

    #[test]
    fn full_range_samples_are_limited_once() {
        let mut bytes = b"YUV4MPEG2 W32 H32 F15:1 C420jpeg XCOLORRANGE=FULL\nFRAME\n".to_vec();
        bytes.extend([255; 32 * 32 * 3 / 2]);
        let mut played = open(&bytes, format(32, 32, 30)).unwrap();
        assert_eq!([played.luma(0), played.luma(1), played.luma(2)], [235, 235, 235]);
    }

    #[test]
    fn a_cut_off_last_picture_is_reported_once_and_left_out() {
        let mut bytes = clip(3, size(32, 32), 30);
        bytes.truncate(bytes.len() - 10);
        let mut played = open(&bytes, format(32, 32, 30)).unwrap();
        assert_eq!((0..6).map(|n| played.luma(n)).collect::<Vec<_>>(), [20, 30, 20, 30, 20, 30]);
        let Ok(CaptureEvent::Warning(warning)) = played.events.try_recv() else { panic!("no warning") };
        assert!(warning.to_string().contains("ends in the middle of picture 2"), "{warning}");
        assert!(played.events.try_recv().is_err());
    }

    #[test]
    fn a_clip_damaged_in_the_middle_plays_up_to_there() {
        let mut bytes = clip(3, size(32, 32), 30);
        let third = bytes.len() - size(32, 32).i420_len() - 6;
        bytes[third] = 0;
        let mut played = open(&bytes, format(32, 32, 30)).unwrap();
        assert_eq!((0..4).map(|n| played.luma(n)).collect::<Vec<_>>(), [20, 30, 20, 30]);
        let Ok(CaptureEvent::Warning(warning)) = played.events.try_recv() else { panic!("no warning") };
        assert!(warning.to_string().contains("damaged after picture 2"), "{warning}");
    }

    #[test]
    fn every_unplayable_file_is_refused_with_a_sentence_that_names_it() {
        let no_picture = &clip(0, size(32, 32), 30);
        let cut_off = &clip(1, size(32, 32), 30)[..200];
        for (bytes, reason) in [
            (b"".as_slice(), "is empty"),
            (b"\x89PNG\r\n\x1a\n", "ffmpeg -i CLIP"),
            (b"YUV4MPEG2 W7680 H4320 F30:1\nFRAME\n", "7680x4320"),
            (b"YUV4MPEG2 W64 H64 F30:1 C444\nFRAME\n", "\"444\""),
            (no_picture, "no whole picture"),
            (cut_off, "no whole picture"),
        ] {
            let refused = refusal(bytes);
            assert!(refused.contains("clip.y4m") && refused.contains(reason), "{refused}");
        }
    }

    #[test]
    fn a_missing_file_and_a_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Clip::open(&folder.path().join("none.y4m"), format(32, 32, 30), outlet().0);
        let text = missing.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("none.y4m") && text.contains("check its name"), "{text}");
        let refused = Clip::open(folder.path(), format(32, 32, 30), outlet().0).map(|_| ()).unwrap_err();
        assert!(matches!(refused, CaptureError::ClipNotAFile { .. }));
    }

    #[test]
    fn a_file_that_can_no_longer_be_read_ends_the_source_with_the_reason() {
        struct Failing(std::io::Cursor<Vec<u8>>, usize);
        impl Read for Failing {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                self.1 = self.1.checked_sub(1).ok_or_else(|| std::io::Error::other("the disk is gone"))?;
                self.0.read(into)
            }
        }
        impl Seek for Failing {
            fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
                self.0.seek(to)
            }
        }
        let input = Failing(std::io::Cursor::new(clip(1, size(32, 32), 30)), 3);
        let frames = Y4mReader::new(input).unwrap();
        let playback = Playback {
            frames,
            rate: FrameRate::FPS_30,
            passed: 0,
            warned: false,
            path: PathBuf::from("clip.y4m"),
        };
        let (outlet, events) = outlet();
        let (sender, queue) = sync_channel(64);
        playback.read_ahead(format(32, 32, 30), &sender, &outlet);
        drop(sender);
        assert!(queue.iter().count() < 64);
        let Ok(CaptureEvent::Lost { reason }) = events.try_recv() else { panic!("nothing was lost") };
        assert!(reason.to_string().contains("the disk is gone"), "{reason}");
    }
}
