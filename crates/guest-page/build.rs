//! Builds the guests' page (`ui/dist-guest`) when it is missing or older than its sources, and lists its files. In development
//! builds there is nothing to list: the program itself looks then, so that nothing is compiled again for a change to the page.
//! They find one built, though, so that nobody waits for the first.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ahoy_ui_build::{BuildResult, Page};

fn main() -> ExitCode {
    println!("cargo::rustc-check-cfg=cfg(embedded)");
    println!("cargo::rerun-if-changed=build.rs");
    let embedded = std::env::var_os("PROFILE").is_none_or(|profile| profile == "release");
    if embedded {
        println!("cargo::rustc-cfg=embedded");
    }
    ahoy_ui_build::conclude(build(embedded))
}

fn build(embedded: bool) -> BuildResult<()> {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui").canonicalize()?;
    ahoy_ui_build::prepare(&ui, Page::Guest)?;
    if !embedded {
        return Ok(());
    }
    ahoy_ui_build::come_back_for(&ui, Page::Guest);
    let folder = ui.join(Page::Guest.folder());
    let mut assets: Vec<PathBuf> =
        folder.join("assets").read_dir()?.map(|entry| Ok(entry?.path())).collect::<BuildResult<_>>()?;
    assets.sort();
    let mut list = format!(
        "const HTML: &str = include_str!({:?});\nconst ASSETS: &[Asset] = &[\n",
        folder.join("guest.html")
    );
    for path in assets {
        let name =
            path.file_name().and_then(|name| name.to_str()).ok_or("a file of the page has a strange name")?;
        writeln!(list, "    Asset {{ name: {name:?}, bytes: include_bytes!({path:?}) }},")?;
    }
    list.push_str("];\n");
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("files.rs"), list)?;
    Ok(())
}
