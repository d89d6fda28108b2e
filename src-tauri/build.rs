//! Builds the window (`ui/dist`) when it is missing or older than its sources, then prepares Tauri.

use std::{
    error::Error,
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::SystemTime,
};

type BuildResult<T> = Result<T, Box<dyn Error>>;

/// Everything the built window is made from.
const SOURCES: [&str; 7] = [
    "ui/src",
    "ui/index.html",
    "ui/package.json",
    "ui/package-lock.json",
    "ui/svelte.config.js",
    "ui/tsconfig.json",
    "ui/vite.config.ts",
];
/// Names the hashed scripts and styles, so it changes whenever any of them does.
const BUILT: &str = "ui/dist/index.html";
/// npm writes it at the end of an installation.
const INSTALLED: &str = "ui/node_modules/.package-lock.json";
const LOCK: &str = "ui/package-lock.json";
/// What windows may do, and the names for it.
const CAPABILITIES: &str = "src-tauri/capabilities/**/*";
const PERMISSIONS: &str = "src-tauri/permissions/**/*";
/// The oldest Node that Vite runs on.
const OLDEST_NODE: (u32, u32) = (20, 19);

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> BuildResult<()> {
    let rights = ["src-tauri/capabilities", "src-tauri/permissions"];
    for path in SOURCES.iter().chain([&BUILT]).chain(&rights) {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed=AHOY_SKIP_UI_BUILD");

    // Without the feature the window comes from Vite's development server and nothing is embedded.
    if std::env::var_os("CARGO_FEATURE_CUSTOM_PROTOCOL").is_some() {
        prepare_window()?;
    }
    let attributes = tauri_build::Attributes::new()
        .capabilities_path_pattern(CAPABILITIES)
        .app_manifest(tauri_build::AppManifest::new().permissions_path_pattern(PERMISSIONS));
    Ok(tauri_build::try_build(attributes)?)
}

fn prepare_window() -> BuildResult<()> {
    let sources = newest(SOURCES.iter().map(PathBuf::from).collect())?;
    let built = modified(Path::new(BUILT))?;
    if std::env::var_os("AHOY_SKIP_UI_BUILD").is_some() {
        return match built {
            Some(_) => Ok(()),
            None => Err(format!(
                "AHOY_SKIP_UI_BUILD is set but {BUILT} does not exist. \
                Unset it, or build the window first: npm ci && npm run build, both in ui/."
            )
            .into()),
        };
    }
    if built.is_some_and(|built| built >= sources) {
        return Ok(());
    }
    check_node()?;
    if modified(Path::new(INSTALLED))? < modified(Path::new(LOCK))? {
        npm(&["ci", "--no-audit", "--no-fund"])?;
    }
    npm(&["run", "build"])?;
    // Cargo compares these times with the start of this run: a file written during it would count as changed and
    // cause one more build.
    File::options().write(true).open(BUILT)?.set_modified(sources)?;
    Ok(())
}

/// When the youngest file below `paths` was last changed.
fn newest(mut paths: Vec<PathBuf>) -> BuildResult<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            for entry in path.read_dir()? {
                paths.push(entry?.path());
            }
        } else if let Some(time) = modified(&path)? {
            newest = newest.max(time);
        }
    }
    Ok(newest)
}

/// When a file was last changed, or `None` when there is no such file.
fn modified(path: &Path) -> BuildResult<Option<SystemTime>> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata.modified()?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display()).into()),
    }
}

fn check_node() -> BuildResult<()> {
    let (major, minor) = OLDEST_NODE;
    let wish = format!(
        "Building Ahoy's window needs Node {major}.{minor} or newer with npm: install it from https://nodejs.org or \
         your system's packages. To use a window built elsewhere, put it into ui/dist and set AHOY_SKIP_UI_BUILD=1."
    );
    let output =
        Command::new("node").arg("--version").output().map_err(|error| format!("{wish} ({error})"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST_NODE {
        return Err(format!("{wish} The Node found is {version}.").into());
    }
    Ok(())
}

fn npm(arguments: &[&str]) -> BuildResult<()> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(program).args(arguments).current_dir("ui").stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "`npm {}` failed in ui/:\n{}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
    .into())
}
