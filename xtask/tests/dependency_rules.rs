//! Which crate may know which: the layers of docs/architecture.md, checked against what the manifests say.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Each of our packages with those of our packages that it may depend on. Everything points downwards, so there are no
/// circles. A new package has to be entered here.
const LAYERS: &[(&str, &[&str])] = &[
    // Pure: data and decisions, no devices, no network, no clock of their own.
    ("ahoy-media-types", &[]),
    ("ahoy-measure", &["ahoy-media-types"]),
    ("ahoy-congestion", &["ahoy-media-types"]),
    ("ahoy-call", &["ahoy-signal"]),
    ("ahoy-transfer", &["ahoy-media-types"]),
    ("ahoy-signal", &["ahoy-media-types"]),
    // The edges: devices, the peer connection, the signaling connection.
    ("ahoy-media", &["ahoy-media-types", "ahoy-measure"]),
    ("ahoy-files", &["ahoy-transfer"]),
    ("ahoy-transfer-web", &["ahoy-transfer"]),
    ("ahoy-power", &[]),
    ("ahoy-tunnel", &[]),
    ("ahoy-ice", &["ahoy-tunnel"]),
    ("ahoy-rtc", &["ahoy-media-types", "ahoy-congestion", "ahoy-ice", "ahoy-tunnel"]),
    ("ahoy-signal-client", &["ahoy-signal", "ahoy-tunnel"]),
    ("ahoy-ui-build", &[]),
    ("ahoy-guest-page", &["ahoy-ui-build"]),
    ("ahoy-turn", &[]),
    ("ahoy-server", &["ahoy-guest-page", "ahoy-signal", "ahoy-turn"]),
    // The product without a face.
    (
        "ahoy-client",
        &[
            "ahoy-call",
            "ahoy-congestion",
            "ahoy-files",
            "ahoy-ice",
            "ahoy-measure",
            "ahoy-media",
            "ahoy-media-types",
            "ahoy-power",
            "ahoy-rtc",
            "ahoy-signal",
            "ahoy-signal-client",
            "ahoy-transfer",
            "ahoy-tunnel",
        ],
    ),
    // Its faces.
    ("ahoy-cli", &["ahoy-client", "ahoy-media-types", "ahoy-signal"]),
    ("ahoy", &["ahoy-client", "ahoy-media-types", "ahoy-server", "ahoy-signal", "ahoy-ui-build"]),
    // What tests and measures the product.
    ("ahoy-testkit", &["ahoy-media-types", "ahoy-measure", "ahoy-signal", "ahoy-server"]),
    ("ahoy-load", &["ahoy-signal"]),
    ("ahoy-lab", &["ahoy-testkit"]),
    (
        "ahoy-bench",
        &[
            "ahoy-client",
            "ahoy-congestion",
            "ahoy-measure",
            "ahoy-media",
            "ahoy-media-types",
            "ahoy-rtc",
            "ahoy-testkit",
        ],
    ),
    ("xtask", &[]),
];

/// What the tests of any package may use beside what the package itself may.
const FOR_TESTS: &[&str] =
    &["ahoy-testkit", "ahoy-measure", "ahoy-media-types", "ahoy-server", "ahoy-signal-client"];

/// Foreign crates that only certain packages of ours may name, so that they can be replaced in one place.
const OWNED: &[(&str, &[&str])] = &[
    ("webrtc", &["ahoy-rtc"]),
    ("rtc", &["ahoy-rtc"]),
    ("is", &["ahoy-ice"]),
    ("tauri", &["ahoy"]),
    ("tauri-build", &["ahoy"]),
    ("cpal", &["ahoy-media"]),
    ("nokhwa", &["ahoy-media"]),
    // ahoy-measure's tests send its stamps and chirps through the real codecs.
    ("openh264", &["ahoy-media", "ahoy-measure"]),
    ("opus", &["ahoy-media", "ahoy-measure"]),
    ("v4l", &["ahoy-media"]),
    ("keyring", &["ahoy-client"]),
    ("starship-battery", &["ahoy-power"]),
    ("zbus", &["ahoy-power"]),
    ("turn-server-proto", &["ahoy-turn"]),
    // The server's tests ask it as a client would.
    ("reqwest", &["ahoy-signal-client", "ahoy-server"]),
    ("rustls-platform-verifier", &["ahoy-signal-client"]),
    ("rpassword", &["ahoy-cli"]),
];

/// Foreign crates that do input and output or keep threads.
const IMPURE: &[&str] =
    &["async-std", "mio", "reqwest", "rustix", "smol", "socket2", "tokio", "tungstenite", "ureq"];

/// Packages that must not reach I/O, themselves or through others.
const PURE: &[&str] = &["ahoy-media-types", "ahoy-congestion", "ahoy-call", "ahoy-transfer", "ahoy-signal"];

/// Pairs where the first must not reach the second, however many steps lie between.
const NEVER_REACHES: &[(&str, &str)] = &[
    ("ahoy-media", "webrtc"),
    ("ahoy-media", "tokio"),
    ("ahoy-server", "ahoy-media"),
    ("ahoy-server", "tauri"),
    ("ahoy-cli", "tauri"),
    ("ahoy-client", "tauri"),
    ("ahoy-client", "ahoy-server"),
    ("ahoy-signal-client", "ahoy-media"),
    ("ahoy-server", "keyring"),
    ("ahoy-turn", "axum"),
    ("ahoy-client", "ahoy-testkit"),
    ("xtask", "ahoy-media-types"),
    // What is measured must not be part of what measures it.
    ("ahoy-load", "ahoy-server"),
    ("ahoy-lab", "ahoy-client"),
];

/// What the manifests of our packages say, for all systems.
fn manifests() -> Metadata {
    MetadataCommand::new().no_deps().exec().expect("cargo metadata runs in the workspace")
}

fn dependencies(package: &Package, kinds: &[DependencyKind]) -> BTreeSet<String> {
    let wanted = package.dependencies.iter().filter(|dependency| kinds.contains(&dependency.kind));
    wanted.map(|dependency| dependency.name.clone()).collect()
}

const SHIPPED: &[DependencyKind] = &[DependencyKind::Normal, DependencyKind::Build];
const ALL: &[DependencyKind] = &[DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development];

#[test]
fn our_packages_depend_on_each_other_one_way() {
    let metadata = manifests();
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let Some(allowed) = layers.get(package.name.as_str()) else {
            wrong.push(format!("{} is in no layer: enter it in {}", package.name, file!()));
            continue;
        };
        let ours = |name: &String| layers.contains_key(name.as_str()) && *name != *package.name;
        for name in dependencies(package, SHIPPED).into_iter().filter(ours) {
            if !allowed.contains(&name.as_str()) {
                wrong.push(format!("{} must not depend on {name}", package.name));
            }
        }
        for name in dependencies(package, &[DependencyKind::Development]).into_iter().filter(ours) {
            if !allowed.contains(&name.as_str()) && !FOR_TESTS.contains(&name.as_str()) {
                wrong.push(format!("tests of {} must not depend on {name}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_layers_have_no_circles() {
    let mut below: BTreeSet<&str> = BTreeSet::new();
    let mut rest: Vec<_> = LAYERS.to_vec();
    while !rest.is_empty() {
        let (settled, open): (Vec<_>, Vec<_>) =
            rest.iter().copied().partition(|(_, needs)| needs.iter().all(|name| below.contains(name)));
        assert!(!settled.is_empty(), "these depend on each other, or on an unknown package: {open:?}");
        below.extend(settled.iter().map(|(name, _)| *name));
        rest = open;
    }
}

#[test]
fn foreign_libraries_are_named_only_by_the_package_that_wraps_them() {
    let metadata = manifests();
    let mut wrong = Vec::new();
    for package in metadata.workspace_packages() {
        let names = dependencies(package, ALL);
        for (library, owners) in OWNED {
            if names.contains(*library) && !owners.contains(&package.name.as_str()) {
                wrong.push(format!("{} must not depend on {library}: that is for {owners:?}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_packages_reach_no_input_or_output() {
    let reach = Reach::on_this_system();
    let mut wrong = Vec::new();
    for package in PURE {
        for impure in IMPURE {
            if let Some(way) = reach.way(package, impure) {
                wrong.push(way);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_must_stay_apart_is_apart_through_all_steps() {
    let reach = Reach::on_this_system();
    let ways: Vec<_> = NEVER_REACHES.iter().filter_map(|(from, to)| reach.way(from, to)).collect();
    assert!(ways.is_empty(), "{}", ways.join("\n"));
}

#[test]
fn a_way_through_several_packages_is_found() {
    let reach = Reach::on_this_system();
    let way = reach.way("xtask", "clap_builder").expect("xtask uses clap, which uses clap_builder");
    assert_eq!(way, "xtask → clap → clap_builder");
}

/// What each package of the resolved graph is built from; what only its tests use is left out.
struct Reach {
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Reach {
    /// Other systems are left out: cargo would have to fetch what only they need.
    fn on_this_system() -> Self {
        let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
        let about = String::from_utf8(rustc.stdout).expect("rustc prints text");
        let host = about.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
        let options = ["--filter-platform", host].map(str::to_owned);
        let metadata = MetadataCommand::new().other_options(options).exec();
        let metadata = metadata.expect("cargo metadata resolves the workspace");
        let names: BTreeMap<_, _> =
            metadata.packages.iter().map(|package| (package.id.clone(), package.name.to_string())).collect();
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata.resolve.expect("cargo metadata resolves").nodes {
            let built = node
                .deps
                .iter()
                .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development));
            needs
                .entry(names[&node.id].clone())
                .or_default()
                .extend(built.map(|dep| names[&dep.pkg].clone()));
        }
        Self { needs }
    }

    /// The shortest chain of packages from one to another.
    fn way(&self, from: &str, to: &str) -> Option<String> {
        let mut seen: BTreeSet<&str> = BTreeSet::from([from]);
        let mut ways = vec![vec![from]];
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                let last = way.last().copied().unwrap_or(from);
                for next in self.needs.get(last).into_iter().flatten() {
                    if seen.insert(next) {
                        let mut way = way.clone();
                        way.push(next);
                        if next == to {
                            return Some(way.join(" → "));
                        }
                        longer.push(way);
                    }
                }
            }
            ways = longer;
        }
        None
    }
}
