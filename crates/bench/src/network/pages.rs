//! Chromium's pages measure pictures in JavaScript. What they find is what our code finds.

use std::path::Path;
use std::process::Command;

use ahoy_measure::{picture, stamp};
use ahoy_media::scale::Scaler;
use ahoy_media_types::{FrameId, FrameSize, I420Buffer, MediaTime};

use crate::over_link::script_path;

/// Edges, slopes and texture, with a number.
fn scene(size: FrameSize, number: u32, moved: usize) -> I420Buffer {
    let mut picture = I420Buffer::black(size);
    let width = size.width() as usize;
    for (index, sample) in picture.planes_mut()[0].data.iter_mut().enumerate() {
        let (x, y) = (index % width + moved * (index % 3 / 2), index / width);
        *sample = (40 + (x * 3 / 4 + y * 2 / 3) % 120 + (x / 24 + y / 16) % 2 * 50 + x * y % 7) as u8;
    }
    assert!(stamp::draw(&mut picture, FrameId(number), MediaTime::ZERO));
    picture
}

/// What the module of the pages finds: the number in `shown`, its SSIM once enlarged, and that of `original` with `moved`.
fn in_javascript(folder: &Path, pictures: [&I420Buffer; 3]) -> [f64; 3] {
    for (name, picture) in ["original", "moved", "shown"].iter().zip(pictures) {
        std::fs::write(folder.join(name), picture.y()).unwrap();
    }
    let (full, shown) = (pictures[0].size(), pictures[2].size());
    let module = script_path("page/stamped.mjs").canonicalize().unwrap();
    let program = format!(
        "import {{ readFileSync }} from 'node:fs';
         import {{ enlarge, readStamp, ssim }} from '{}';
         const read = (name, width, height) => ({{ bytes: readFileSync(name), width, height, offset: 0, stride: width }});
         const [original, moved] = ['original', 'moved'].map((name) => read(name, {fw}, {fh}));
         const shown = read('shown', {sw}, {sh});
         const seen = ssim(original, enlarge(shown, {fw}, {fh}));
         console.log(JSON.stringify([readStamp(shown, original), seen, ssim(original, moved)]));",
        module.display(),
        fw = full.width(),
        fh = full.height(),
        sw = shown.width(),
        sh = shown.height(),
    );
    let node = Command::new("node")
        .args(["--input-type=module", "--eval", &program])
        .current_dir(folder)
        .output()
        .expect("Node.js is installed: cargo xtask setup --for test");
    assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    serde_json::from_slice(&node.stdout).unwrap()
}

#[test]
fn a_page_reads_and_compares_pictures_as_we_do() {
    let size = |width, height| FrameSize::new(width, height).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (full, sent) in [
        (size(1280, 720), size(1280, 720)),
        (size(1280, 720), size(960, 540)),
        (size(1280, 720), size(640, 360)),
        (size(1280, 720), size(320, 180)),
        (size(642, 362), size(320, 180)),
    ] {
        let (original, moved) = (scene(full, 77, 0), scene(full, 78, 1));
        let (mut smaller, mut enlarged) = (I420Buffer::black(sent), I420Buffer::black(full));
        let mut scaler = Scaler::new();
        scaler.fit(&original, &mut smaller);
        scaler.fit(&smaller, &mut enlarged);
        let [number, seen, between] = in_javascript(folder.path(), [&original, &moved, &smaller]);
        assert_eq!(number as u32, 77, "{sent}");
        let ours = [&enlarged, &moved].map(|other| picture::ssim_y(&original, other).unwrap());
        assert!((between - ours[1]).abs() < 1e-6, "{full}: {between} instead of {}", ours[1]);
        assert!((seen - ours[0]).abs() < 5e-3, "{sent} to {full}: {seen} instead of {}", ours[0]);
        assert!(ours[1] < 0.95, "the pictures differ enough to show a mistake: {}", ours[1]);
    }
}
