//! Builds the guests' page (`ui/dist-guest`) when it is missing or older than its sources, and lists its files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ahoy_ui_build::{BuildResult, Page};

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
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui").canonicalize()?;
    ahoy_ui_build::prepare(&ui, Page::Guest)?;
    let folder = ui.join(Page::Guest.folder());
    let mut assets: Vec<PathBuf> =
        folder.join("assets").read_dir()?.map(|entry| Ok(entry?.path())).collect::<BuildResult<_>>()?;
    assets.sort();
    let mut list = format!(
        "/// The page itself.\npub const HTML: &str = include_str!({:?});\n",
        folder.join("guest.html")
    );
    list.push_str("/// All files that it loads.\npub const ASSETS: &[Asset] = &[\n");
    for path in assets {
        let name =
            path.file_name().and_then(|name| name.to_str()).ok_or("a file of the page has a strange name")?;
        writeln!(list, "    Asset {{ name: {name:?}, bytes: include_bytes!({path:?}) }},")?;
    }
    list.push_str("];\n");
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("files.rs"), list)?;
    Ok(())
}
