//! The page with which people without the program join a call: files for a server to give out. Its sources are in `ui/`.
//!
//! Release builds carry the files in them. Development builds read them from `ui/dist-guest` when they are first asked for, and
//! build them before when a source is newer.

#![forbid(unsafe_code)]

/// A file that the page loads. Its name has a hash of what is in it, so it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// What it is called below [`ASSETS_PATH`].
    pub name: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

impl Asset {
    /// Its media type (RFC 6838), by its name.
    pub fn media_type(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("woff2") => "font/woff2",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        }
    }
}

/// Where the page looks for its files.
pub const ASSETS_PATH: &str = "/guest/assets";

/// What the page may do (CSP 3): load its own files, talk to the server it came from, and nothing else.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
    img-src 'self'; connect-src 'self'; media-src blob: mediastream:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// What the page may ask the person for (Permissions Policy).
pub const PERMISSIONS_POLICY: &str =
    "camera=(self), microphone=(self), speaker-selection=(self), geolocation=()";

/// The page itself.
pub fn html() -> &'static str {
    files::html()
}

/// All files that it loads.
pub fn assets() -> &'static [Asset] {
    files::assets()
}

/// A file that it loads.
pub fn asset(name: &str) -> Option<&'static Asset> {
    assets().iter().find(|asset| asset.name == name)
}

#[cfg(embedded)]
mod files {
    use super::Asset;

    include!(concat!(env!("OUT_DIR"), "/files.rs"));

    pub(super) const fn html() -> &'static str {
        HTML
    }

    pub(super) const fn assets() -> &'static [Asset] {
        ASSETS
    }
}

#[cfg(not(embedded))]
mod files {
    use std::path::Path;
    use std::sync::LazyLock;

    use ahoy_ui_build::{BuildResult, Page, prepare};

    use super::Asset;

    /// The page and what it loads, for as long as the program runs.
    type Files = (&'static str, Vec<Asset>);

    /// What is wrong stands in the place of the page: whoever develops it sees it in the browser.
    static FILES: LazyLock<Files> =
        LazyLock::new(|| read().unwrap_or_else(|error| (error.to_string().leak(), Vec::new())));

    pub(super) fn html() -> &'static str {
        FILES.0
    }

    pub(super) fn assets() -> &'static [Asset] {
        &FILES.1
    }

    fn read() -> BuildResult<Files> {
        let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui");
        prepare(&ui, Page::Guest)?;
        let folder = ui.join(Page::Guest.folder());
        let mut assets = Vec::new();
        for entry in folder.join("assets").read_dir()? {
            let entry = entry?;
            let name =
                entry.file_name().into_string().map_err(|_| "a file of the page has a strange name")?;
            assets.push(Asset { name: name.leak(), bytes: std::fs::read(entry.path())?.leak() });
        }
        Ok((std::fs::read_to_string(folder.join("guest.html"))?.leak(), assets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_the_page_loads_is_there_and_comes_from_the_server() {
        let mut loaded = 0;
        for attribute in ["src=\"", "href=\""] {
            for rest in html().split(attribute).skip(1) {
                let address = rest.split('"').next().expect("an attribute ends");
                let name = address.strip_prefix(ASSETS_PATH).and_then(|name| name.strip_prefix('/'));
                let name = name.unwrap_or_else(|| panic!("{address} is somewhere else"));
                assert!(asset(name).is_some(), "{name} is missing");
                loaded += 1;
            }
        }
        assert!(loaded >= 2, "a script and a style sheet: {}", html());
    }

    #[test]
    fn every_file_has_a_type_that_browsers_believe() {
        for asset in assets() {
            assert_ne!(asset.media_type(), "application/octet-stream", "{}", asset.name);
        }
    }

    #[test]
    fn the_page_has_no_script_that_its_policy_forbids() {
        let html = html();
        assert!(
            !html.contains("<script>") && !html.contains("style=") && !html.contains("onload="),
            "{html}"
        );
    }
}
