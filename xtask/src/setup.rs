//! `cargo xtask setup`: what this machine lacks, said first and then installed.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::packages::{self, Package, Purpose};
use crate::{clip, tools, workspace};

/// The oldest Node.js that the window's build tools (Vite) and the browser tests run on.
const OLDEST_NODE: &str = "20.19";

/// Folders with npm packages of their own, and what they are for.
const NPM_FOLDERS: [(&str, Purpose, &str); 3] = [
    ("ui", Purpose::Window, "the window's build tools"),
    ("packaging", Purpose::Dist, "the program that makes packages"),
    ("tests/interop", Purpose::Test, "the driver of the browser that Ahoy calls"),
];

/// Quiet, without a terminal's progress bars, and patient: a fresh machine may be updating itself.
const APT_OPTIONS: [&str; 5] = ["-q", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=600"];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// What this machine is to be set up for.
    #[arg(long = "for", value_name = "PURPOSE", default_value = "test")]
    purpose: Purpose,
    /// Install without asking.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    prepare(options.purpose, options.yes)?;
    eprintln!("This machine is ready.");
    Ok(ExitCode::SUCCESS)
}

/// Brings this machine to where `purpose` is possible. Quick, and nearly silent, where nothing is missing.
pub(crate) fn prepare(purpose: Purpose, yes: bool) -> Result<()> {
    check_rust()?;
    if purpose.includes(Purpose::Window) {
        check_node()?;
    }
    system_packages(purpose, yes)?;
    for (folder, since, why) in NPM_FOLDERS {
        if purpose.includes(since) {
            npm_packages(&workspace::root().join(folder), why)?;
        }
    }
    if purpose.includes(Purpose::Test) {
        tools::install(purpose)?;
        clip::install()?;
        kernel()?;
    }
    Ok(())
}

/// rust-toolchain.toml makes rustup fetch the right Rust by itself; any other installation has to be new enough.
fn check_rust() -> Result<()> {
    let wanted = fs::read_to_string(workspace::root().join("rust-toolchain.toml"))
        .ok()
        .and_then(|text| text.split('"').nth(1).map(str::to_owned))
        .context("rust-toolchain.toml names no channel")?;
    let found = command::program("rustc")
        .args(["--version"])
        .read()
        .context("Rust is missing: see https://rustup.rs")?;
    let version = found.split(' ').nth(1).unwrap_or_default();
    if parse_version(version) < parse_version(&wanted) {
        bail!(
            "Ahoy needs Rust {wanted} and this is {version}. Get it from https://rustup.rs, or update yours."
        );
    }
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !command::cargo([subcommand, "--version"]).succeeds() {
            bail!("cargo {subcommand} is missing. Install it: rustup component add {component}");
        }
    }
    Ok(())
}

fn check_node() -> Result<()> {
    let get =
        format!("Get Node.js {OLDEST_NODE} or newer from https://nodejs.org (with npm), then try again.");
    let Ok(found) = command::program("node").args(["--version"]).read() else {
        bail!("Node.js is missing: the window's build tools and the browser tests need it. {get}");
    };
    if parse_version(found.trim().trim_start_matches('v')) < parse_version(OLDEST_NODE) {
        bail!("Node.js {} is too old. {get}", found.trim());
    }
    if !command::exists("npm") {
        bail!("npm is missing though Node.js is there. {get}");
    }
    Ok(())
}

/// The numbers of a version like `1.95.0` or `20.20.2-nightly`.
fn parse_version(text: &str) -> Vec<u32> {
    text.split(['.', '-', ' ']).map_while(|part| part.parse().ok()).collect()
}

fn system_packages(purpose: Purpose, yes: bool) -> Result<()> {
    let distribution = distribution();
    if !command::exists("apt-get") || !command::exists("dpkg-query") {
        return without_apt(purpose);
    }
    let installed = installed_packages()?;
    let missing: Vec<&Package> = packages::needed_for(purpose)
        .filter(|package| !is_installed(package, &distribution, &installed))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name_on(&distribution)).collect();
    eprintln!("Missing on this machine, and to be installed with apt-get:");
    list(&missing, &distribution);
    if !yes && !confirmed()? {
        bail!("nothing was installed. To do it yourself: sudo apt-get install {}", names.join(" "));
    }
    if !command::is_root()? && !command::exists("sudo") {
        bail!(
            "installing packages needs root, and there is no sudo here. As root: apt-get install {}",
            names.join(" ")
        );
    }
    apt_install(&names)
}

/// Virtual packages and browsers from elsewhere count by the program they bring; everything else by name.
fn is_installed(package: &Package, distribution: &str, installed: &HashSet<String>) -> bool {
    installed.contains(package.name_on(distribution)) || (package.name == "chromium" && package.is_seen())
}

fn without_apt(purpose: Purpose) -> Result<()> {
    let missing: Vec<&Package> = packages::needed_for(purpose).filter(|package| !package.is_seen()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("This system has no apt-get. Please install what these Debian packages hold, then try again:");
    list(&missing, "");
    bail!("{} of the needed programs and libraries were not found", missing.len())
}

fn list(missing: &[&Package], distribution: &str) {
    for package in missing {
        eprintln!("  {:30} {}", package.name_on(distribution), package.why);
    }
}

/// The `ID` of /etc/os-release: `debian`, `ubuntu` or something else; empty where there is none.
fn distribution() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let id = text.lines().find_map(|line| line.strip_prefix("ID="));
    id.unwrap_or_default().trim_matches('"').to_owned()
}

fn installed_packages() -> Result<HashSet<String>> {
    let listing = command::program("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status} ${Package}\n"])
        .read()?;
    Ok(listing.lines().filter_map(|line| line.strip_prefix("installed ")).map(str::to_owned).collect())
}

/// Asks where somebody can answer. Where nobody can (CI), being told is enough: the command was the consent.
fn confirmed() -> Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    eprint!("Go on? [Y/n] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes"))
}

fn apt_install(names: &[&str]) -> Result<()> {
    let install = || apt_get(&[&["install", "--yes", "--no-install-recommends"], names].concat());
    let started = Instant::now();
    if !package_lists_exist() {
        apt_get(&["update"])?;
    }
    if install().is_err() {
        eprintln!("The package lists may be out of date: fetching them and trying once more.");
        apt_get(&["update"])?;
        install().with_context(|| format!("apt-get could not install {}", names.join(" ")))?;
    }
    let packages = if names.len() == 1 { "package" } else { "packages" };
    eprintln!("Installed {} {packages} in {} s.", names.len(), started.elapsed().as_secs());
    Ok(())
}

/// Runs apt-get as root.
fn apt_get(args: &[&str]) -> Result<()> {
    let program = if command::is_root()? {
        command::program("env")
    } else {
        command::program("sudo").args(["env"]).with_input()
    };
    program.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(APT_OPTIONS).args(args).succeed()
}

fn package_lists_exist() -> bool {
    fs::read_dir("/var/lib/apt/lists").is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
    })
}

/// The kernel of the small machine that has a camera and a sound card. It is unpacked into the cache, not installed.
fn kernel() -> Result<()> {
    if workspace::cache()?.join("vm/kernel/complete").is_file() {
        return Ok(());
    }
    if command::exists("apt-get") && !package_lists_exist() {
        apt_get(&["update"])?;
    }
    command::program("bash").args(["crates/testkit/lab/vm-camera.sh", "fetch"]).succeed()
}

/// `npm ci` where the folder's lock file is newer than what is installed.
fn npm_packages(folder: &Path, why: &str) -> Result<()> {
    let lock = folder.join("package-lock.json");
    let Ok(locked) = fs::metadata(&lock).and_then(|metadata| metadata.modified()) else {
        return Ok(());
    };
    let installed = fs::metadata(folder.join("node_modules/.package-lock.json"));
    if installed.and_then(|metadata| metadata.modified()).is_ok_and(|installed| installed >= locked) {
        return Ok(());
    }
    eprintln!("Installing npm packages in {}: {why}", folder.display());
    // The browser comes from the system; Playwright must not fetch one of its own.
    command::program("npm")
        .args(["ci", "--no-audit", "--no-fund"])
        .in_folder(folder)
        .env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1")
        .succeed()
        .with_context(|| format!("the npm packages of {} could not be installed", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parse_version("1.100.0") > parse_version("1.95.0"));
        assert!(parse_version("1.95.0") >= parse_version("1.95"));
        assert!(parse_version("20.9.0") < parse_version(OLDEST_NODE));
        assert!(parse_version("22.0.0-pre") >= parse_version(OLDEST_NODE));
        assert!(parse_version("") < parse_version(OLDEST_NODE));
    }

    #[test]
    fn every_package_says_why_it_is_needed_and_is_listed_once() {
        let mut names = HashSet::new();
        for package in packages::PACKAGES {
            assert!(!package.why.is_empty(), "{}", package.name);
            assert!(names.insert(package.name), "{} is listed twice", package.name);
        }
    }

    #[test]
    fn only_the_long_tests_need_both_what_tests_and_what_packages_need() {
        assert!(!Purpose::Test.includes(Purpose::Dist) && !Purpose::Dist.includes(Purpose::Test));
        assert!(Purpose::Full.includes(Purpose::Test) && Purpose::Full.includes(Purpose::Dist));
        assert!(Purpose::Dist.includes(Purpose::Window) && !Purpose::Window.includes(Purpose::Dist));
    }

    #[test]
    fn what_running_needs_the_tests_need_too() {
        assert!(packages::needed_for(Purpose::Test).any(|package| package.name == "nasm"));
        assert!(packages::needed_for(Purpose::Run).all(|package| package.name != "chromium"));
    }
}
