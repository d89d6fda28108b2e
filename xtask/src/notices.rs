//! The licences of everything that is compiled into our programs, which have to go with them.
//!
//! Tools for this (cargo-about) take minutes to build and decide what a licence is; the texts lie in the sources, and
//! which licences may come in is for cargo-deny.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{command, workspace};

/// How names of files with terms begin.
const TERMS: [&str; 5] = ["license", "licence", "copying", "notice", "unlicense"];
/// Crates carry the C sources that they build this deep, with terms of their own.
const DEPTH: usize = 3;
/// npm packages of which a part gets into the window.
const IN_THE_WINDOW: [&str; 3] = ["svelte", "@tauri-apps/api", "@fontsource-variable/inter"];

/// A library with the terms under which it comes.
struct Library {
    name: String,
    licence: String,
    texts: BTreeSet<String>,
}

/// Names each library in `programs` and every licence text once.
pub(crate) fn collect(programs: &[&str]) -> Result<String> {
    let mut libraries = crates(programs)?;
    for name in IN_THE_WINDOW {
        libraries.push(npm_package(&workspace::root().join("ui/node_modules").join(name))?);
    }
    Ok(written(&libraries))
}

/// Everything from a registry that cargo compiles into `programs` for this system.
fn crates(programs: &[&str]) -> Result<Vec<Library>> {
    let host = command::program("rustc").args(["-vV"]).read()?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let metadata =
        command::cargo(["metadata", "--format-version=1", "--locked", "--filter-platform", host]).read()?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let compiled = reached(&metadata, programs);
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let foreign = packages.iter().filter(|package| {
        package["source"].is_string() && package["id"].as_str().is_some_and(|id| compiled.contains(id))
    });
    foreign.map(library).collect()
}

/// The ids of packages that `programs` are made from. Build scripts and tests stay behind on this machine, and so does
/// what only they need.
fn reached<'a>(metadata: &'a Value, programs: &[&str]) -> BTreeSet<&'a str> {
    let list = |value: &'a Value| value.as_array().into_iter().flatten();
    let ids = list(&metadata["packages"]).filter(|package| {
        package["source"].is_null() && programs.iter().any(|program| package["name"] == **program)
    });
    let mut open: Vec<&str> = ids.filter_map(|package| package["id"].as_str()).collect();
    let nodes: BTreeMap<&str, &Value> =
        list(&metadata["resolve"]["nodes"]).filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id)
            && let Some(node) = nodes.get(id)
        {
            let normal =
                list(&node["deps"]).filter(|dep| list(&dep["dep_kinds"]).any(|kind| kind["kind"].is_null()));
            open.extend(normal.filter_map(|dep| dep["pkg"].as_str()));
        }
    }
    seen
}

fn library(package: &Value) -> Result<Library> {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let manifest = PathBuf::from(text("manifest_path"));
    let folder = manifest.parent().context("cargo metadata names no folder of a package")?;
    Ok(Library {
        name: format!("{} {}", text("name"), text("version")),
        licence: text("license"),
        texts: terms_in(folder, DEPTH)?,
    })
}

fn npm_package(folder: &Path) -> Result<Library> {
    let manifest = folder.join("package.json");
    let manifest = fs::read_to_string(&manifest)
        .with_context(|| format!("{} is missing: run npm ci in ui/", manifest.display()))?;
    let manifest: Value = serde_json::from_str(&manifest)?;
    let text = |key: &str| manifest[key].as_str().unwrap_or_default().to_owned();
    Ok(Library {
        name: format!("{} {}", text("name"), text("version")),
        licence: text("license"),
        texts: terms_in(folder, 1)?,
    })
}

/// The texts of files with terms in `folder`, and in folders in it down to `depth`.
fn terms_in(folder: &Path, depth: usize) -> Result<BTreeSet<String>> {
    let mut texts = BTreeSet::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} could not be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && depth > 1 {
            texts.append(&mut terms_in(&path, depth - 1)?);
        } else if path.is_file() && is_terms(&path) {
            let text = fs::read(&path).with_context(|| format!("{} could not be read", path.display()))?;
            texts.insert(String::from_utf8_lossy(&text).replace("\r\n", "\n").trim().to_owned());
        }
    }
    Ok(texts)
}

fn is_terms(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_source = ["rs", "c", "h", "py", "ts", "js"].iter().any(|end| name.ends_with(&format!(".{end}")));
    TERMS.iter().any(|start| name.starts_with(start)) && !is_source
}

/// A list of the libraries, then each text with the libraries that carry it.
fn written(libraries: &[Library]) -> String {
    let mut page =
        "Libraries that are compiled into Ahoy, with their licences, and below the texts of these.\n\n"
            .to_owned();
    let mut carriers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for library in libraries {
        page.push_str(&format!("{}: {}\n", library.name, library.licence));
        for text in &library.texts {
            carriers.entry(text).or_default().push(&library.name);
        }
    }
    for (text, names) in carriers {
        page.push_str(&format!("\n{}\n{}:\n\n{text}\n", "=".repeat(80), names.join(", ")));
    }
    page
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_compiled_into_a_program_counts() {
        let package = |name: &str, ours: bool| {
            let source = if ours { Value::Null } else { json!("registry") };
            json!({ "name": name, "id": name, "source": source })
        };
        let dep = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("ahoy", true), package("a", false), package("b", false), package("t", false)],
            "resolve": { "nodes": [
                { "id": "ahoy", "deps": [dep("a", Value::Null), dep("t", json!("dev"))] },
                { "id": "a", "deps": [dep("b", json!("build"))] },
            ] },
        });
        assert_eq!(reached(&metadata, &["ahoy"]), BTreeSet::from(["a", "ahoy"]));
    }

    #[test]
    fn files_with_terms_are_told_by_their_names() {
        for name in ["LICENSE", "LICENSE-MIT", "License.txt", "COPYING", "NOTICE.md", "UNLICENSE"] {
            assert!(is_terms(Path::new(name)), "{name}");
        }
        for name in ["license.rs", "README.md", "src"] {
            assert!(!is_terms(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn a_text_that_many_carry_is_written_once_with_all_their_names() {
        let library = |name: &str| Library {
            name: name.to_owned(),
            licence: "MIT".to_owned(),
            texts: BTreeSet::from(["Permission is granted".to_owned()]),
        };
        let page = written(&[library("a 1"), library("b 2")]);
        assert_eq!(page.matches("Permission").count(), 1);
        assert!(page.contains("a 1, b 2:\n"), "{page}");
        assert!(page.contains("\nb 2: MIT\n"), "{page}");
    }
}
