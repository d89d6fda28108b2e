//! Every view of the real window on a computer with devices and without: nothing in them is cut, covered or out of reach, in
//! either theme, language and size. Each view's picture is left in cargo's folder for the files of tests, to be looked at.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use ahoy_testkit::lab::{CameraScene, Clip, Preferences};
use serde_json::json;

use support::{Ahoy, Computer};

/// What the keyboard's Escape is to WebDriver (section 17.4.2).
const ESCAPE: char = '\u{e00c}';
/// The size that the window has at first, and the smallest that it can be given (`tauri.conf.json`).
const USUAL: (u32, u32) = (1040, 720);
const SMALLEST: (u32, u32) = (360, 480);

/// A person's choices, which the window follows.
#[derive(Clone, Copy)]
struct Taste {
    theme: &'static str,
    language: &'static str,
    size: (u32, u32),
}

impl Taste {
    fn settings(self, first_run_done: bool) -> serde_json::Value {
        let Self { theme, language, .. } = self;
        json!({ "name": "Ada", "first_run_done": first_run_done, "theme": theme, "language": language })
    }

    fn open<'a>(self, computer: &'a Computer, first_run_done: bool) -> Ahoy<'a> {
        computer.settings(&self.settings(first_run_done));
        self.sized(computer.open_unstamped([]))
    }

    fn sized(self, ahoy: Ahoy<'_>) -> Ahoy<'_> {
        let (width, height) = self.size;
        ahoy.until("document.querySelector('h1') !== null");
        if self.size != USUAL {
            ahoy.window.resize(width, height).unwrap();
            ahoy.until(&format!("innerWidth === {width} && innerHeight === {height}"));
        }
        ahoy
    }

    /// Looks at what the window shows: keeps its picture, and fails where something of it can't be read or reached.
    #[track_caller]
    fn look(self, ahoy: &Ahoy, view: &str) {
        let Self { theme, language, size: (width, height) } = self;
        ahoy.settle();
        ahoy.screenshot(&format!("views/{view}-{theme}-{language}-{width}x{height}.png"));
        let wrong = ahoy.run(WHAT_IS_WRONG);
        assert_eq!(wrong, json!([]), "{view}, {theme}, {language}, {width} x {height}");
    }
}

/// A script that lists what of the topmost layer is cut or covered. A page may be longer than the window, not wider.
const WHAT_IS_WRONG: &str = "
    const wrong = [];
    const root = document.querySelector('dialog[open]') ??
      (innerWidth < 700 ? document.querySelector('aside') : null) ?? document.body;
    if (document.documentElement.scrollWidth > innerWidth) wrong.push('the page is wider than the window');
    const isScrolledAway = (e, y) => {
      for (let outer = e.parentElement; outer; outer = outer.parentElement) {
        const { top, bottom } = outer.getBoundingClientRect();
        if (getComputedStyle(outer).overflowY === 'auto' && (y < top || y > bottom)) return true;
      }
      return false;
    };
    const told = (e) => `${e.localName}.${[...e.classList].join('.')} ${JSON.stringify(e.textContent.trim().slice(0, 40))}`;
    for (const e of root.querySelectorAll('button, a, input, select, h1, h2, h3, p, li, dt, dd, kbd, code, label, figcaption')) {
      const box = e.getBoundingClientRect();
      const style = getComputedStyle(e);
      if (box.width <= 1 || box.height <= 1 || style.visibility === 'hidden') continue;
      if (box.left < -0.5 || box.right > innerWidth + 0.5) wrong.push(`beyond the window's side: ${told(e)}`);
      if (style.overflowX !== 'visible' && e.localName !== 'select' && e.scrollWidth > e.clientWidth + 1) wrong.push(`cut: ${told(e)}`);
      // What is scrolled away can be scrolled back; what is there must be on top.
      const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
      if (y < 0 || y > innerHeight || isScrolledAway(e, y)) continue;
      const top = document.elementFromPoint(x, y);
      if (top && !e.contains(top) && !top.contains(e)) wrong.push(`covered: ${told(e)} by ${told(top)}`);
    }
    for (const e of document.querySelectorAll('.controls button')) {
      if (e.getBoundingClientRect().bottom > innerHeight) wrong.push(`below the window: ${told(e)}`);
    }
    return wrong";

/// All views, on a computer with devices.
fn tour(taste: Taste) {
    let clip = Clip::find().unwrap();
    let computer = Computer::equipped_to_see(CameraScene::Film(clip.pictures));
    {
        let ahoy = taste.open(&computer, false);
        ahoy.until("document.querySelector('figure canvas') !== null");
        taste.look(&ahoy, "first-run");
    }
    let ahoy = taste.open(&computer, true);
    ahoy.until("document.querySelectorAll('.devices .kind').length === 3");
    taste.look(&ahoy, "home");
    ahoy.run("document.querySelector('.settings button').click()");
    for (tab, page) in ["general", "audio", "video", "connection", "about"].iter().enumerate() {
        ahoy.run(&format!("document.querySelectorAll('[role=tab]')[{tab}].click()"));
        ahoy.until(&format!("document.querySelector('#page-{page}') !== null"));
        if *page == "video" {
            ahoy.until("document.querySelector('figure canvas') !== null");
        }
        taste.look(&ahoy, &format!("settings-{page}"));
    }
    ahoy.run("document.querySelector('main > header button').click()");
    ahoy.until("document.querySelector('.words button') !== null");
    ahoy.run("document.querySelector('.words button').click()");
    ahoy.until("document.querySelectorAll('figure canvas').length === 2");
    ahoy.until("document.querySelector('.clock') !== null");
    taste.look(&ahoy, "call");
    ahoy.window.press_key('s').unwrap();
    ahoy.until("document.querySelectorAll('aside dd').length > 0");
    taste.look(&ahoy, "call-numbers");
    ahoy.window.press_key('s').unwrap();
    ahoy.until("document.querySelector('aside') === null");
    ahoy.window.press_key('d').unwrap();
    ahoy.until("document.querySelector('dialog[open] select') !== null");
    taste.look(&ahoy, "call-devices");
    ahoy.window.press_key(ESCAPE).unwrap();
    ahoy.until("document.querySelector('dialog') === null");
    ahoy.window.press_key('m').unwrap();
    ahoy.window.press_key('v').unwrap();
    ahoy.until("document.querySelector('figure canvas') === null");
    taste.look(&ahoy, "call-camera-off");
    ahoy.run("document.querySelector('.controls').lastElementChild.querySelector('button').click()");
    ahoy.until("document.querySelector('figure') === null");
    taste.look(&ahoy, "summary");
}

/// The views that say what is wrong, on a computer without devices.
fn tour_of_trouble(taste: Taste) {
    let computer = Computer::bare(Preferences::default());
    {
        let ahoy = taste.open(&computer, false);
        ahoy.until("document.querySelector('figure .title') !== null");
        taste.look(&ahoy, "first-run-without-devices");
    }
    let ahoy = taste.open(&computer, true);
    ahoy.until("document.querySelectorAll('.devices .missing').length === 3");
    taste.look(&ahoy, "home-without-devices");
    ahoy.run("document.querySelector('.words button').click()");
    ahoy.until("document.querySelector('figure .problem') !== null");
    taste.look(&ahoy, "call-without-devices");
    ahoy.run("document.querySelector('.controls').lastElementChild.querySelector('button').click()");
    ahoy.until("document.querySelector('figure') === null");
    taste.look(&ahoy, "summary-without-devices");
}

/// A call that tells of the missing plug-in, which is the longest of all notices.
fn call_without_h264(taste: Taste) {
    let computer = Computer::equipped();
    computer.settings(&taste.settings(true));
    let ahoy = taste.sized(computer.open_unstamped([support::no_h264()]));
    ahoy.run("document.querySelector('.words button').click()");
    ahoy.until("document.querySelectorAll('figure canvas').length === 2");
    ahoy.until_text("gstreamer1.0-libav");
    taste.look(&ahoy, "call-without-h264");
}

/// Set by whoever wants the README's picture to be taken again.
const WRITE: &str = "AHOY_GENERATE";
/// Readers on slow connections wait for it.
const LARGEST_PICTURE: u64 = 150_000;

/// A call as the README shows it.
fn picture_for_the_readme(taste: Taste) -> PathBuf {
    let clip = Clip::find().unwrap();
    let computer = Computer::equipped_to_see(CameraScene::Film(clip.pictures));
    let ahoy = taste.open(&computer, true);
    ahoy.run("document.querySelector('.words button').click()");
    ahoy.until("document.querySelectorAll('figure canvas').length === 2");
    ahoy.press("Close");
    ahoy.press("Show live numbers");
    // A minute's graphs need more than their first points.
    ahoy.until("document.querySelector('.clock')?.textContent.includes('0:12')");
    ahoy.settle();
    let (png, jpeg) = (ahoy.screenshot("readme.png"), ahoy.file("readme.jpg"));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-i"]).arg(png);
    let encoded = ffmpeg.args(["-pix_fmt", "yuvj444p", "-q:v", "4"]).arg(&jpeg).status().unwrap();
    assert!(encoded.success());
    jpeg
}

mod needs_display {
    use super::*;

    const LIGHT: Taste = Taste { theme: "light", language: "en", size: USUAL };
    const SMALL: Taste = Taste { theme: "dark", language: "zh", size: SMALLEST };

    #[test]
    fn nothing_is_cut_or_covered_in_the_usual_window() {
        tour(LIGHT);
    }

    #[test]
    fn nothing_is_cut_or_covered_in_the_smallest_window() {
        tour(SMALL);
    }

    #[test]
    fn nothing_is_cut_or_covered_where_there_are_no_devices() {
        tour_of_trouble(LIGHT);
        tour_of_trouble(SMALL);
    }

    #[test]
    fn the_readme_shows_a_call_as_it_is() {
        let taken = picture_for_the_readme(LIGHT);
        let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images/call.jpg");
        if std::env::var_os(WRITE).is_some() {
            std::fs::copy(&taken, &stored).unwrap();
        }
        for picture in [taken, stored] {
            let bytes = std::fs::metadata(&picture).unwrap().len();
            assert!((20_000..LARGEST_PICTURE).contains(&bytes), "{}: {bytes} bytes", picture.display());
        }
    }

    #[test]
    fn nothing_is_cut_or_covered_where_the_plug_in_for_h264_is_missing() {
        call_without_h264(LIGHT);
        call_without_h264(SMALL);
    }
}

mod long_views {
    mod needs_display {
        use super::super::*;

        #[test]
        fn nothing_is_cut_or_covered_in_any_theme_language_and_size() {
            for theme in ["light", "dark"] {
                for language in ["en", "zh"] {
                    for size in [USUAL, SMALLEST] {
                        let taste = Taste { theme, language, size };
                        tour(taste);
                        tour_of_trouble(taste);
                        call_without_h264(taste);
                    }
                }
            }
        }
    }
}
