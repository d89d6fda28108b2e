//! The system packages that Ahoy needs, and why.

use crate::command;

/// What a machine is set up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Purpose {
    /// Building Ahoy and making calls without a window.
    Run,
    /// Building and opening the window.
    Window,
    /// Making packages.
    Dist,
    /// Running its tests.
    Test,
    /// Running the long tests as well.
    Full,
}

/// How to see that a package's content is there on systems whose package manager we do not ask.
pub(crate) enum Probe {
    /// A program in `PATH`, under any of these names.
    Program(&'static [&'static str]),
    /// A library that pkg-config knows.
    Library(&'static str),
    /// Not to be seen from outside.
    Unknown,
}

/// A system package under its Debian name.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    pub(crate) purpose: Purpose,
    pub(crate) probe: Probe,
}

const fn package(purpose: Purpose, name: &'static str, probe: Probe, why: &'static str) -> Package {
    Package { name, why, purpose, probe }
}

use Probe::{Library, Program, Unknown};
use Purpose::{Dist, Full, Run, Test, Window};

/// Every package, in the order in which they are shown.
pub(crate) const PACKAGES: &[Package] = &[
    package(Run, "build-essential", Program(&["cc"]), "C and C++ compilers for the codecs"),
    package(Run, "pkg-config", Program(&["pkg-config"]), "finds the system libraries below"),
    package(Run, "cmake", Program(&["cmake"]), "builds libopus, the sound codec"),
    package(Run, "nasm", Program(&["nasm"]), "assembler for OpenH264; without it video is 2.5 times slower"),
    package(Run, "libclang-dev", Unknown, "reads the kernel's camera interface (V4L2) for Rust"),
    package(Run, "libasound2-dev", Library("alsa"), "sound through ALSA"),
    package(Run, "libpulse-dev", Library("libpulse"), "sound through PulseAudio and PipeWire"),
    package(Run, "libsqlite3-dev", Library("sqlite3"), "the history of messages and calls"),
    package(Window, "libwebkit2gtk-4.1-dev", Library("webkit2gtk-4.1"), "the window's web view"),
    package(Window, "libayatana-appindicator3-dev", Library("ayatana-appindicator3-0.1"), "the tray icon"),
    package(Window, "librsvg2-dev", Library("librsvg-2.0"), "icons"),
    package(Window, "patchelf", Program(&["patchelf"]), "bundles the app"),
    package(Window, "gstreamer1.0-libav", Unknown, "H.264 pictures inside the window"),
    package(Window, "gstreamer1.0-plugins-good", Unknown, "sound and pictures inside the window"),
    package(
        Dist,
        "dpkg-dev",
        Program(&["dpkg-shlibdeps"]),
        "finds out which packages the libraries come from",
    ),
    package(
        Test,
        "pulseaudio",
        Program(&["pulseaudio"]),
        "a sound server with virtual microphone and speaker",
    ),
    package(Test, "pulseaudio-utils", Program(&["pactl"]), "plays into and records from that sound server"),
    package(Test, "libasound2-plugins", Unknown, "lets ALSA programs reach that sound server"),
    package(Test, "alsa-utils", Program(&["arecord"]), "a second opinion on what ALSA sees"),
    package(Test, "espeak-ng", Program(&["espeak-ng"]), "speech for the virtual microphone"),
    package(Test, "sox", Program(&["sox"]), "makes and compares sound files"),
    package(
        Test,
        "ffmpeg",
        Program(&["ffmpeg"]),
        "unpacks the test clip; a second opinion on codecs and picture quality",
    ),
    package(
        Test,
        "chromium",
        Program(&["chromium", "chromium-browser", "google-chrome"]),
        "the browser that Ahoy must be able to call",
    ),
    package(Test, "xvfb", Program(&["Xvfb"]), "a display for window tests"),
    package(
        Test,
        "fonts-wqy-microhei",
        Unknown,
        "Chinese letters, whose widths the window's views must bear",
    ),
    package(Test, "dbus-daemon", Program(&["dbus-daemon"]), "a session bus for window tests"),
    package(Test, "dbus-bin", Program(&["dbus-send"]), "locks a keyring on it"),
    package(Test, "dunst", Program(&["dunst"]), "notifications, and a person who presses their buttons"),
    package(
        Test,
        "gnome-keyring",
        Program(&["gnome-keyring-daemon"]),
        "a keyring to stay signed in with, on such a bus",
    ),
    package(
        Test,
        "webkit2gtk-driver",
        Program(&["WebKitWebDriver"]),
        "presses the window's buttons in tests",
    ),
    package(Test, "faketime", Program(&["faketime"]), "clocks that are wrong"),
    package(
        Test,
        "rsync",
        Program(&["rsync"]),
        "what files are sent with otherwise, for `cargo xtask bench files`",
    ),
    package(Test, "util-linux", Program(&["unshare"]), "machines without a network, for tests as root"),
    package(
        Test,
        "iproute2",
        Program(&["ip"]),
        "network namespaces for bad links and for networks behind NATs",
    ),
    package(Test, "nftables", Program(&["nft"]), "the firewalls and address translation of those networks"),
    package(Test, "tinyproxy-bin", Program(&["tinyproxy"]), "the way out of a network that has no other"),
    package(
        Test,
        "coturn",
        Program(&["turnserver"]),
        "another relay, and a client of relays; if it came as a service: systemctl disable --now coturn",
    ),
    package(Test, "tshark", Program(&["tshark"]), "shows that media on the wire is encrypted"),
    package(Test, "python3-pip", Unknown, "fetches the test clip from PyPI"),
    package(
        Test,
        "qemu-system-x86",
        Program(&["qemu-system-x86_64"]),
        "a small machine with a real kernel camera and sound card",
    ),
    package(Test, "busybox-static", Program(&["busybox"]), "the user space of that machine"),
    package(Test, "cpio", Program(&["cpio"]), "packs its initial file system"),
    package(Test, "kmod", Program(&["modprobe"]), "finds the kernel modules it needs"),
    package(Test, "zstd", Program(&["zstd"]), "unpacks kernel modules"),
    package(
        Test,
        "postgresql",
        Program(&["psql", "postgres"]),
        "the server's tests run over it as well as over SQLite, each on one of its own",
    ),
    package(Test, "xz-utils", Program(&["xz"]), "unpacks kernel modules"),
    package(
        Full,
        "debootstrap",
        Program(&["debootstrap"]),
        "makes a Debian that has nothing, to install the package in",
    ),
    package(Full, "desktop-file-utils", Program(&["desktop-file-validate"]), "checks the menu entry"),
    package(Full, "appstream", Program(&["appstreamcli"]), "checks what software centres show"),
    package(Full, "lintian", Program(&["lintian"]), "checks the package against Debian's rules"),
];

impl Purpose {
    /// Whether a machine that is set up for this has what `other` needs, too.
    pub(crate) fn includes(self, other: Self) -> bool {
        match self {
            Run => other == Run,
            Window => matches!(other, Run | Window),
            Dist => matches!(other, Run | Window | Dist),
            Test => matches!(other, Run | Window | Test),
            Full => true,
        }
    }
}

impl Package {
    /// The name under which this machine's package manager knows it. Ubuntu's browser goes by another name.
    pub(crate) fn name_on(&self, distribution: &str) -> &'static str {
        match (distribution, self.name) {
            ("ubuntu", "chromium") => "chromium-browser",
            (_, name) => name,
        }
    }

    /// Whether its content is there, as far as can be seen without a package manager.
    pub(crate) fn is_seen(&self) -> bool {
        match self.probe {
            Program(names) => names.iter().any(|name| command::exists(name)),
            Library(name) => command::program("pkg-config").args(["--exists", name]).succeeds(),
            Unknown => true,
        }
    }
}

/// The packages needed for `purpose`.
pub(crate) fn needed_for(purpose: Purpose) -> impl Iterator<Item = &'static Package> {
    PACKAGES.iter().filter(move |package| purpose.includes(package.purpose))
}
