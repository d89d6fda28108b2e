//! The built application, opened on a private desktop and looked at through WebDriver.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod desktop;

mod needs_display {
    use std::net::{Ipv4Addr, TcpListener};

    use serde_json::{Value, json};

    use super::desktop::{Preferences, Window};

    const TAB: char = '\u{e004}';

    #[test]
    fn the_window_opens_and_tells_the_version_of_the_program() {
        let window = Window::open(Preferences::default());

        let heading = window.find("h1");
        assert!(heading.displayed());
        assert_eq!(heading.text(), "Ahoy! Video calls are coming.");
        // Only the program knows these; the page has no version of its own.
        assert!(window.find_text(concat!("Version ", env!("CARGO_PKG_VERSION"))).displayed());
        assert!(window.find_text(&format!("Linux {}", std::env::consts::ARCH)).displayed());

        let picture = std::fs::read(window.screenshot("welcome-light.png")).expect("just written");
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    }

    #[test]
    fn the_window_follows_a_dark_desktop() {
        let window = Window::open(Preferences { dark: true, ..Preferences::default() });
        window.find("footer li");
        assert_eq!(window.find("body").css("background-color"), "rgb(10, 22, 29)");
        window.screenshot("welcome-dark.png");
    }

    #[test]
    fn the_window_moves_only_where_the_desktop_does() {
        for (animations, duration) in [(true, "1.8s"), (false, "0s")] {
            let window = Window::open(Preferences { animations, ..Preferences::default() });
            let wave = window.find("header path.far");
            assert_eq!(wave.css("animation-duration"), duration, "animations: {animations}");
        }
    }

    #[test]
    fn nobody_is_kept_out_by_what_the_window_shows() {
        for dark in [false, true] {
            let window = Window::open(Preferences { dark, ..Preferences::default() });
            window.find("footer li");
            let violations = accessibility_violations(&window);
            assert_eq!(violations, json!([]), "dark: {dark}");
        }
    }

    #[test]
    fn the_keyboard_reaches_the_copy_button_and_shows_where_it_is() {
        let window = Window::open(Preferences::default());
        window.find("footer li");
        window.press(TAB);
        let button = window.focused();
        assert_eq!(button.text(), "Copy");
        assert_eq!(button.css("outline-style"), "solid");
        assert_eq!(button.css("outline-width"), "3px");
    }

    #[test]
    fn script_that_does_not_belong_to_the_window_gets_nowhere() {
        let window = Window::open(Preferences::default());
        window.find("footer li");

        let foreign = window.run(
            "const script = document.createElement('script');
             script.textContent = 'window.injected = true';
             document.body.append(script);
             return window.injected === true",
        );
        assert_eq!(foreign, false, "inline script must not run");

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let fetched = window.run(&format!(
            "return fetch('http://{address}/', {{ mode: 'no-cors' }}).then(() => 'sent', () => 'refused')"
        ));
        assert_eq!(fetched, "refused");
        assert!(listener.accept().is_err(), "nothing may leave the window");

        let command = window.run(
            "return window.__TAURI_INTERNALS__.invoke('plugin:app|version').then(() => 'done', (error) => String(error))",
        );
        let refusal = command.as_str().expect("a text");
        assert!(refusal.contains("not allowed"), "only its own commands are the window's right: {refusal}");
    }

    /// What axe-core finds in the painted window: rule and elements.
    fn accessibility_violations(window: &Window) -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ui/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("cannot read {path}: {error}; run npm ci in ui/"));
        window.run(&axe);
        window.run(
            "return window.axe.run().then(({ violations }) =>
               violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]))",
        )
    }
}
