//! What a call shows and plays can be kept in files that others can play. Needs ffmpeg.

use crate::support::{call, heard_chirps, number, run, samples, small, y4m};
use ahoy_measure::{picture, stamp};
use ahoy_media_types::I420Buffer;

/// Grey levels of the pictures of the clip below.
const LEVELS: [u8; 4] = [60, 100, 140, 180];

/// Four flat pictures of their own grey, with a texture that the codec has to keep.
fn clip() -> Vec<u8> {
    let size = small();
    let mut clip = b"YUV4MPEG2 W320 H180 F30:1 C420jpeg\n".to_vec();
    for level in LEVELS {
        clip.extend_from_slice(b"FRAME\n");
        clip.extend_from_slice(original(level).packed());
    }
    assert_eq!(clip.len(), 35 + LEVELS.len() * (6 + size.i420_len()));
    clip
}

fn original(level: u8) -> I420Buffer {
    let (width, luma) = (small().width() as usize, (small().width() * small().height()) as usize);
    let mut picture = I420Buffer::black(small());
    for (index, sample) in picture.packed_mut()[..luma].iter_mut().enumerate() {
        let checker = (index % width / 32 + index / width / 32) % 2;
        *sample = level + 20 * checker as u8;
    }
    picture
}

#[test]
fn loopback_records_the_pictures_and_the_sound_that_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let (source, take) = (folder.path().join("source.y4m"), folder.path().join("take"));
    std::fs::write(&source, clip()).unwrap();
    let video = format!("file:{}", source.display());
    let report = run(call(4, &["--video", &video, "--record", take.to_str().unwrap()]), Vec::new()).json();

    let frames = y4m(&take.with_extension("y4m"), small());
    assert_eq!(frames.len() as f64, number(&report, "/video/frames_rendered"));
    assert!(frames.len() > 80, "{report:#}");
    let stamps: Vec<_> = frames.iter().map(|frame| stamp::read(frame).expect("stamps can be read")).collect();
    assert!(stamps.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].at < pair[1].at), "{stamps:?}");
    let mut seen = [0; LEVELS.len()];
    for frame in &frames {
        let quality = LEVELS.map(|level| picture::psnr_y(frame, &original(level)).unwrap());
        let best = (0..LEVELS.len()).max_by(|&a, &b| quality[a].total_cmp(&quality[b])).unwrap();
        assert!(quality[best] > 28.0, "a picture is none of the clip's: {quality:?}");
        seen[best] += 1;
    }
    assert!(seen.iter().all(|&count| count > 10), "{seen:?}");

    let sound = samples(&take.with_extension("wav"));
    assert!(heard_chirps(&sound) >= 5, "{} samples", sound.len());
}

#[test]
fn loopback_plays_into_a_file_what_a_speaker_would_play() {
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("heard.wav");
    let speaker = format!("file:{}", heard.display());
    let report = run(call(4, &["--video", "none", "--speaker", &speaker]), Vec::new()).report(0);
    let sound = samples(&heard);
    assert!((3.5..6.0).contains(&(sound.len() as f64 / 48_000.0)), "{} samples", sound.len());
    assert!(heard_chirps(&sound) >= 6, "{report:#}");
    assert!(number(&report, "/audio/correlation") > 0.8, "{report:#}");
}
