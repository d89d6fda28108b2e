//! The built application, opened on a private desktop and looked at through WebDriver.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod desktop;

mod needs_display {
    use std::net::{Ipv4Addr, TcpListener};

    use serde_json::{Value, json};

    use super::desktop::{Preferences, Window};

    const TAB: char = '\u{e004}';

    /// Presses the button with this text.
    fn press_button(window: &Window, text: &str) {
        let pressed = window.run(&format!(
            "const button = [...document.querySelectorAll('button')].find((b) => b.textContent.trim() === '{text}');
             button?.click();
             return button !== undefined",
        ));
        assert_eq!(pressed, true, "there is a button {text:?}");
    }

    /// Waits until the window shows text that this regular expression matches.
    fn await_text(window: &Window, pattern: &str) {
        let shown = window.run(&format!(
            "return new Promise((done) => {{
               const look = () => /{pattern}/i.test(document.body.innerText) ? done(true) : requestAnimationFrame(look);
               look();
             }})",
        ));
        assert_eq!(shown, true);
    }

    #[test]
    fn the_first_run_asks_and_can_be_skipped() {
        let window = Window::open(Preferences::default());
        assert_eq!(window.find_text("Welcome aboard").text(), "Welcome aboard");
        let picture = std::fs::read(window.screenshot("first-run-light.png")).expect("just written");
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
        press_button(&window, "Skip for now");
        assert!(window.find_text("Ahoy!").displayed());
        window.screenshot("home-light.png");
    }

    #[test]
    fn a_test_call_runs_says_what_is_missing_and_ends() {
        let window = Window::open(Preferences::default());
        window.find_text("Welcome aboard");
        press_button(&window, "Skip for now");
        window.find_text("Ahoy!");
        press_button(&window, "Test call");
        assert!(window.find_text("What others see").displayed());
        // There is no camera on this desktop.
        await_text(&window, "no camera");
        window.screenshot("call-without-devices.png");
        let hung_up = window.run(
            "const button = document.querySelector('button[aria-label*=\"ang up\"]')
               ?? [...document.querySelectorAll('button')].find((b) => /hang up/i.test(b.textContent));
             button?.click();
             return button !== null && button !== undefined",
        );
        assert_eq!(hung_up, true, "there is a button to hang up");
        window.find("h1[tabindex]");
        window.screenshot("summary-without-devices.png");
    }

    #[test]
    fn the_window_follows_a_dark_desktop() {
        let window = Window::open(Preferences { dark: true, ..Preferences::default() });
        window.find("h1");
        assert_eq!(window.find("body").css("background-color"), "rgb(10, 22, 29)");
        window.screenshot("first-run-dark.png");
    }

    #[test]
    fn nobody_is_kept_out_by_what_the_window_shows() {
        for dark in [false, true] {
            let window = Window::open(Preferences { dark, ..Preferences::default() });
            window.find("h1");
            assert_eq!(accessibility_violations(&window), json!([]), "first run, dark: {dark}");
            press_button(&window, "Skip for now");
            window.find_text("Test call");
            assert_eq!(accessibility_violations(&window), json!([]), "home, dark: {dark}");
        }
    }

    #[test]
    fn the_keyboard_reaches_what_can_be_pressed_and_shows_where_it_is() {
        let window = Window::open(Preferences::default());
        window.find("h1");
        window.press(TAB);
        let focused = window.focused();
        assert_eq!(focused.css("outline-style"), "solid");
    }

    #[test]
    fn script_that_does_not_belong_to_the_window_gets_nowhere() {
        let window = Window::open(Preferences::default());
        window.find("h1");

        let foreign = window.run(
            "const script = document.createElement('script');
             script.textContent = 'window.injected = true';
             document.body.append(script);
             return window.injected === true",
        );
        assert_eq!(foreign, false, "inline script must not run");

        // Not 127.0.0.1, where its pictures come from (what may be a WebSocket may be HTTP, says CSP level 3).
        let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
        let listener = TcpListener::bind((elsewhere, 0)).expect("a free port");
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
