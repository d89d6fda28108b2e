//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the checkout this was built from.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies directly below the root of the checkout")
}

/// Where Ahoy keeps what can be fetched or made again: `$XDG_CACHE_HOME/ahoy`, by default `~/.cache/ahoy`.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|value| Path::new(value).is_absolute()) {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set; set it to your home directory")?)
            .join(".cache"),
    };
    Ok(base.join("ahoy"))
}

/// Cargo's target directory, wherever `CARGO_TARGET_DIR` or a configuration file puts it.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = crate::command::cargo(["metadata", "--no-deps", "--format-version=1"]).read()?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(target))
}
