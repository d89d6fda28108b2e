//! `cargo xtask dist`: a release build, put into packages that people install.
//!
//! Tauri's bundler writes them, as `tauri.conf.json` says. What can only be known once the programs are built is added
//! here: which libraries they need, and whose licences they carry.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::packages::Purpose;
use crate::{command, notices, setup, workspace};

/// Our packages that are built for it, named as their programs are.
const PROGRAMS: [&str; 2] = ["ahoy", "ahoy-cli"];
/// Above this a package does not download in a few seconds any more, and something got into it by accident.
const MOST_BYTES: u64 = 15_000_000;
/// The bundler, installed by npm below the folder that pins its version.
const BUNDLER: &str = "packaging/node_modules/.bin/tauri";
/// Files that the bundler would otherwise fetch for an AppImage, as tauri-bundler 2.10 names them before the machine.
const APPIMAGE_TOOLS: [&str; 2] = ["AppRun-", "linuxdeploy-07333c6-"];
/// Where Debian wants the papers of the package.
const PAPERS: &str = "/usr/share/doc/ahoy";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Install what is missing without asking.
    #[arg(long, short)]
    yes: bool,
    /// Print one JSON object with the packages as the last line, and nothing else on standard output.
    #[arg(long)]
    json: bool,
}

/// A finished package.
pub(crate) struct Package {
    pub(crate) path: PathBuf,
    bytes: u64,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Deb,
    AppImage,
}

/// What came of it: packages, and those that can't be made here with the reason.
struct Outcome {
    packages: Vec<Package>,
    left_out: Vec<(Kind, String)>,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    setup::prepare(Purpose::Dist, options.yes)?;
    let folder = clean_folder()?;
    let deb = build_deb(&folder)?;
    let mut outcome = Outcome { packages: vec![deb], left_out: Vec::new() };
    match appimage_tools_missing_in(&bundler_cache()?, env::consts::ARCH) {
        None => outcome.packages.push(bundle(Kind::AppImage, &json!({}), &folder)?),
        Some(why) => outcome.left_out.push((Kind::AppImage, why)),
    }
    outcome.report(options.json);
    Ok(ExitCode::SUCCESS)
}

/// Builds only the Debian package, on a machine that is set up.
pub(crate) fn deb() -> Result<Package> {
    build_deb(&clean_folder()?)
}

/// Finished packages lie in `dist` below cargo's target directory. Older ones are removed, so that none is taken for new.
fn clean_folder() -> Result<PathBuf> {
    if !cfg!(target_os = "linux") {
        bail!(
            "`cargo xtask dist` makes packages on Linux only. docs/platforms.md says what there is for other systems."
        );
    }
    let folder = workspace::target()?.join("dist");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} could not be emptied", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
    Ok(folder)
}

fn build_deb(folder: &Path) -> Result<Package> {
    if !command::exists("dpkg-shlibdeps") {
        bail!(
            "dpkg-shlibdeps is missing, so packages are made on Debian and Ubuntu only (there: apt-get install dpkg-dev)."
        );
    }
    let release = workspace::target()?.join("release");
    eprintln!("Building {} for release; from scratch that takes some minutes.", PROGRAMS.join(" and "));
    let packages = PROGRAMS.iter().flat_map(|name| ["--package", name]);
    command::cargo(["build", "--release"]).args(packages).succeed()?;
    let programs = PROGRAMS.map(|name| release.join(name));

    eprintln!("Looking up the libraries that they need, and collecting licences.");
    let work = folder.join("work");
    fs::create_dir_all(&work)?;
    let depends = depends(&configuration()?, &shared_libraries(&programs, &work)?)?;
    let licences = work.join("third-party-licenses");
    fs::write(&licences, notices::collect(&PROGRAMS)?)?;
    // `changelog` is Debian's name for one in its own format.
    let news = work.join("NEWS");
    fs::copy(workspace::root().join("CHANGELOG.md"), &news)?;
    let (licences, news) = (compressed(&licences)?, compressed(&news)?);

    let files = json!({
        "/usr/bin/ahoy-cli": programs[1],
        format!("{PAPERS}/third-party-licenses.gz"): licences,
        format!("{PAPERS}/NEWS.gz"): news,
    });
    let more = json!({ "bundle": { "linux": { "deb": { "depends": depends, "files": files } } } });
    let package = recompressed(bundle(Kind::Deb, &more, folder)?, &work)?;
    fs::remove_dir_all(&work).with_context(|| format!("{} could not be removed", work.display()))?;
    if package.bytes > MOST_BYTES {
        bail!(
            "{} has {}; it is meant to stay below {}. `dpkg -c` shows what is in it.",
            package.path.display(),
            megabytes(package.bytes),
            megabytes(MOST_BYTES)
        );
    }
    Ok(package)
}

fn configuration() -> Result<Value> {
    let text = fs::read_to_string(workspace::root().join("tauri.conf.json"))
        .context("tauri.conf.json could not be read")?;
    serde_json::from_str(&text).context("tauri.conf.json is no JSON")
}

/// The packages that these programs' libraries come from, as this machine's package system knows them: `libc6 (>= 2.34)`.
fn shared_libraries(programs: &[PathBuf], work: &Path) -> Result<String> {
    // It insists on the source of a Debian package around it.
    fs::create_dir_all(work.join("debian"))?;
    fs::write(work.join("debian/control"), "Source: ahoy\n\nPackage: ahoy\nArchitecture: any\n")?;
    command::program("dpkg-shlibdeps").args(["-O"]).args(programs).in_folder(work).read()
}

/// What the package depends on: what the configuration says about programs and plug-ins, and the libraries.
fn depends(configuration: &Value, libraries: &str) -> Result<Vec<String>> {
    let named = configuration["bundle"]["linux"]["deb"]["depends"].as_array();
    let named = named.context("tauri.conf.json has no bundle.linux.deb.depends")?;
    let named = named.iter().filter_map(Value::as_str);
    let libraries = libraries.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    let libraries = libraries.context("dpkg-shlibdeps printed no dependencies")?;
    Ok(libraries.split(", ").chain(named).map(str::to_owned).collect())
}

/// Debian wants long papers compressed, without the time in them so that the same input gives the same package.
fn compressed(path: &Path) -> Result<PathBuf> {
    command::program("gzip").args(["--best", "--no-name", "--force"]).args([path]).succeed()?;
    Ok(path.with_extension("gz"))
}

/// The same package as Debian's own are: Tauri compresses with gzip, which makes it 40 % larger than xz does. Both programs
/// are made of the same packages; the strongest preset remembers 64 MiB, and so the first while it compresses the second.
fn recompressed(package: Package, work: &Path) -> Result<Package> {
    let unpacked = work.join("unpacked");
    command::program("dpkg-deb")
        .args(["--raw-extract".as_ref(), package.path.as_path(), &unpacked])
        .succeed()?;
    command::program("dpkg-deb")
        .args(["--root-owner-group", "-Zxz", "-z9", "--build"])
        .args([&unpacked, &package.path])
        .succeed()?;
    Package::new(package.path, package.kind)
}

/// Lets Tauri bundle what is built, with `more` configuration, and moves the package to `folder`.
fn bundle(kind: Kind, more: &Value, folder: &Path) -> Result<Package> {
    eprintln!("Making the {}.", kind.name());
    let made = workspace::target()?.join("release/bundle").join(kind.bundler_name());
    if made.exists() {
        fs::remove_dir_all(&made).with_context(|| format!("{} could not be emptied", made.display()))?;
    }
    command::built(&workspace::root().join(BUNDLER))
        .args(["bundle", "--ci", "--bundles", kind.bundler_name(), "--config", &more.to_string()])
        .succeed()
        .with_context(|| format!("the {} could not be made", kind.name()))?;
    let is_package = |path: &PathBuf| path.extension().is_some_and(|found| found == kind.extension());
    let package = fs::read_dir(&made)?.flatten().map(|entry| entry.path()).find(is_package);
    let package = package.context("the bundler reported success but left no package")?;
    let name = package.file_name().context("a package has a name")?.to_string_lossy().to_lowercase();
    let path = folder.join(name);
    fs::rename(&package, &path).with_context(|| format!("{} could not be moved", package.display()))?;
    Package::new(path, kind)
}

/// Where Tauri's bundler looks for tools before it fetches them.
fn bundler_cache() -> Result<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|value| Path::new(value).is_absolute()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("tauri"))
}

/// Why there can be no AppImage, unless its tools are here. Tauri would fetch them from GitHub, unchecked; so a package is
/// made only with tools that somebody has put there.
fn appimage_tools_missing_in(folder: &Path, machine: &str) -> Option<String> {
    let names = APPIMAGE_TOOLS.map(|name| match name {
        "AppRun-" => format!("{name}{machine}"),
        _ => format!("{name}{machine}.AppImage"),
    });
    let missing: Vec<&str> =
        names.iter().filter(|name| !folder.join(name).is_file()).map(String::as_str).collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!(
        "its tools are not on this machine, and are not fetched unasked because nothing checks them. To have one, put \
         {} from https://github.com/tauri-apps/binary-releases/releases into {} and make them executable.",
        missing.join(" and "),
        folder.display()
    ))
}

impl Package {
    fn new(path: PathBuf, kind: Kind) -> Result<Self> {
        let about = fs::metadata(&path).with_context(|| format!("{} is not there", path.display()))?;
        Ok(Self { path, bytes: about.len(), kind })
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Deb => "Debian package",
            Self::AppImage => "AppImage",
        }
    }

    fn bundler_name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::AppImage => "appimage",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::AppImage => "AppImage",
        }
    }

    /// What a person does with the package at `path`.
    fn use_of(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Deb => format!("On Debian 12 and systems like it: sudo apt install {path}"),
            Self::AppImage => format!("On other Linux systems: chmod +x {path}, then start it"),
        }
    }
}

impl Outcome {
    fn report(&self, as_json: bool) {
        if as_json {
            println!("{}", self.to_json());
            return;
        }
        println!();
        for Package { path, bytes, kind } in &self.packages {
            println!("{}, {}", kind.name(), megabytes(*bytes));
            println!("  {}", kind.use_of(path));
        }
        for (kind, why) in &self.left_out {
            println!("No {}: {why}", kind.name());
        }
    }

    fn to_json(&self) -> Value {
        let packages = self.packages.iter().map(|Package { path, bytes, kind }| {
            json!({ "kind": kind.bundler_name(), "path": path, "bytes": bytes, "use": kind.use_of(path) })
        });
        let left_out =
            self.left_out.iter().map(|(kind, why)| json!({ "kind": kind.bundler_name(), "why": why }));
        json!({ "packages": packages.collect::<Vec<_>>(), "left_out": left_out.collect::<Vec<_>>() })
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_depends_on_its_libraries_and_on_what_the_configuration_names() {
        let configuration = json!({ "bundle": { "linux": { "deb": { "depends": ["a"] } } } });
        let found = depends(&configuration, "shlibs:Depends=libc6 (>= 2.34), libgtk-3-0\n").expect("depends");
        assert_eq!(found, ["libc6 (>= 2.34)", "libgtk-3-0", "a"]);
        assert!(depends(&configuration, "").is_err(), "libraries were not looked up");
        assert!(depends(&json!({}), "shlibs:Depends=libc6\n").is_err());
    }

    #[test]
    fn without_its_tools_the_appimage_is_left_out_with_a_reason() {
        let why = appimage_tools_missing_in(Path::new("/nonexistent"), "x86_64").expect("no tools are there");
        assert!(why.contains("AppRun-x86_64 and linuxdeploy-07333c6-x86_64.AppImage"), "{why}");
    }

    #[test]
    fn what_was_left_out_is_in_the_json_beside_the_packages() {
        let package = Package { path: "/a/ahoy.deb".into(), bytes: 5, kind: Kind::Deb };
        let outcome =
            Outcome { packages: vec![package], left_out: vec![(Kind::AppImage, "no tools".to_owned())] };
        let json = outcome.to_json();
        assert_eq!(json["packages"][0]["path"], "/a/ahoy.deb");
        assert_eq!(json["packages"][0]["bytes"], 5);
        assert_eq!(json["left_out"][0]["why"], "no tools");
    }
}
