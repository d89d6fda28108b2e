//! The window's own page, and that no other takes its place.

use tauri::plugin::TauriPlugin;
use tauri::{Runtime, Url};

/// Where the page is from, by the name that this system's web view gives it. On other systems the name of Windows would
/// be that of any server on this machine.
const ORIGIN: &str = if cfg!(windows) { "http://tauri.localhost" } else { "tauri://localhost" };
/// The window's page while it is developed with Vite.
const DEVELOPMENT_ORIGIN: &str = "http://127.0.0.1:1420";

/// Origins that the page may have in this build.
pub(crate) fn origins() -> Vec<String> {
    let development = tauri::is_dev().then(|| DEVELOPMENT_ORIGIN.to_owned());
    [ORIGIN.to_owned()].into_iter().chain(development).collect()
}

/// Keeps the window on its own page, whatever is dropped on it or runs in it: no content security policy says where a page
/// may go, and what it knows could leave with the address.
pub(crate) fn stay<R: Runtime>() -> TauriPlugin<R> {
    let origins = origins();
    tauri::plugin::Builder::new("own-page")
        .on_navigation(move |_, url| {
            let own = origins.contains(&origin(url));
            if !own {
                tracing::warn!(scheme = url.scheme(), "the window was kept from leaving its page");
            }
            own
        })
        .build()
}

/// An address without its path, also where its scheme is none of the web's.
fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_page_only_if_scheme_host_and_port_do() {
        let of = |address: &str| origin(&Url::parse(address).expect("an address"));
        assert_eq!(of("tauri://localhost/index.html?a#b"), "tauri://localhost");
        assert_eq!(of("http://127.0.0.1:1420/src"), DEVELOPMENT_ORIGIN);
        for other in [
            "http://localhost/",
            "tauri://localhost.example/",
            "tauri://localhost:1/",
            "tauri://localhost@example.org/",
            "https://tauri.localhost/",
            "data:text/html,tauri://localhost",
            "about:blank",
        ] {
            assert!(!origins().contains(&of(other)), "{other}");
        }
    }
}
