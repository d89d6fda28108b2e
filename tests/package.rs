//! The Debian package: checked by Debian's own tools, and used on a Debian that has nothing else.
//!
//! `cargo xtask test package` builds it and says in `AHOY_PACKAGE` where it lies.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod clean_root;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use ahoy_testkit::lab::{Desktop, Preferences, Window};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use clean_root::CleanRoot;

/// One red picture of 64x64 in constrained baseline, in Annex B form: what `ffmpeg -f lavfi -i color=red:s=64x64
/// -frames:v 1 -c:v libx264 -profile:v baseline -pix_fmt yuv420p -bsf:v filter_units=remove_types=6` makes.
const RED: &[u8] = include_bytes!("package/red.h264");
/// What lintian finds and we leave, with the reason.
const ACCEPTED: [&str; 4] = [
    // What there is to know, `ahoy-cli --help` tells.
    "no-manual-page",
    // Backtraces in people's reports are to name functions.
    "unstripped-binary-or-object",
    // The project has no address yet that mail could go to.
    "malformed-contact",
    // The history of a package that Debian does not have; ours is in NEWS.gz.
    "no-changelog",
];
/// The sizes that desktops take icons in.
const ICONS: [&str; 9] =
    ["16x16", "24x24", "32x32", "48x48", "64x64", "128x128", "256x256", "512x512", "scalable"];

fn package() -> PathBuf {
    env::var_os("AHOY_PACKAGE").expect("which package? Run: cargo xtask test package").into()
}

/// Runs a checker. What it says is shown when it is not content.
fn content(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be started: {error}; install it"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program} {args:?}:\n{}", String::from_utf8_lossy(&said));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of tests are texts")
}

#[test]
fn long_menus_and_software_centres_understand_the_package() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    content("dpkg-deb", &["--extract", text(&package()), text(folder.path())]);
    let share = folder.path().join("usr/share");
    let entry = share.join("applications/Ahoy.desktop");
    content("desktop-file-validate", &[text(&entry)]);
    content(
        "appstreamcli",
        &["validate", "--no-net", text(&share.join("metainfo/chat.ahoy.desktop.metainfo.xml"))],
    );
    for size in ICONS {
        let end = if size == "scalable" { "svg" } else { "png" };
        let icon = share.join("icons/hicolor").join(size).join("apps/ahoy").with_extension(end);
        assert!(icon.is_file(), "{} is missing", icon.display());
    }
    let entry = std::fs::read_to_string(entry).expect("a menu entry");
    let lines = ["Exec=ahoy %u", "Icon=ahoy", "GenericName[zh]=视频通话", "MimeType=x-scheme-handler/ahoy;"];
    for line in lines {
        assert!(entry.lines().any(|found| found == line), "{line} is missing in\n{entry}");
    }
}

#[test]
fn long_the_package_keeps_debians_rules() {
    let accepted = ACCEPTED.join(",");
    let options = ["--fail-on=error,warning", "--allow-root", "--suppress-tags", &accepted];
    content("lintian", &[&options[..], &[text(&package())]].concat());
}

#[test]
fn long_needs_root_on_a_clean_debian_the_window_opens_decodes_and_goes_without_a_trace() {
    let root = CleanRoot::new();
    root.copy_in(&package(), "/root/ahoy.deb");
    root.succeed(&["apt-get", "install", "--yes", "--no-install-recommends", "/root/ahoy.deb"]);
    std::fs::remove_file(root.path("/root/ahoy.deb")).expect("just copied");

    let version = root.succeed(&["ahoy-cli", "--version"]);
    assert_eq!(version.trim(), format!("ahoy-cli {}", env!("CARGO_PKG_VERSION")));
    look_at_the_window(&root);

    let listing = root.succeed(&["dpkg", "--listfiles", "ahoy"]);
    root.succeed(&["apt-get", "purge", "--yes", "ahoy"]);
    let ours = |name: &&str| name.to_lowercase().contains("ahoy");
    let left: Vec<&str> =
        listing.lines().filter(ours).filter(|name| root.path(name).symlink_metadata().is_ok()).collect();
    assert_eq!(left, [""; 0], "these were left behind");
    let traces = root.succeed(&["find", "/etc", "/opt", "/root", "/usr", "/var/lib", "-iname", "*ahoy*"]);
    assert_eq!(traces, "", "these were left behind");
}

/// The installed window: there, complete, and able to decode what calls are made of.
fn look_at_the_window(root: &CleanRoot) {
    let desktop = Desktop::start(Preferences::default()).expect("a desktop");
    let window = Window::open(&desktop, &root.launcher("/usr/bin/ahoy"), []).expect("it opens");
    let heading = window.find_text("Welcome aboard").expect("the first run asks");
    assert!(heading.displayed().expect("it is there"));
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed.png");
    std::fs::write(picture, window.screenshot().expect("a screenshot")).expect("it can be stored");

    let decoded = window.run(&format!(
        "const data = Uint8Array.from(atob('{}'), (letter) => letter.charCodeAt(0));
         return new Promise((done) => {{
           const output = (frame) => {{
             const canvas = new OffscreenCanvas(frame.displayWidth, frame.displayHeight);
             const context = canvas.getContext('2d');
             context.drawImage(frame, 0, 0);
             const [red, green, blue] = context.getImageData(32, 32, 1, 1).data;
             done([frame.displayWidth, frame.displayHeight, red > 200 && green < 50 && blue < 50]);
             frame.close();
           }};
           const decoder = new VideoDecoder({{ output, error: (error) => done(String(error)) }});
           decoder.configure({{ codec: 'avc1.42e01f', optimizeForLatency: true }});
           decoder.decode(new EncodedVideoChunk({{ type: 'key', timestamp: 0, data }}));
           decoder.flush().catch((error) => done(String(error)));
         }})",
        BASE64_STANDARD.encode(RED)
    ));
    let decoded = decoded.expect("the page runs it");
    assert_eq!(decoded, json!([64, 64, true]), "the web view decodes a red picture");
}
