//! A private desktop for one test: an X server without a screen, a session bus and a WebDriver that opens the built
//! application in it. Everything is started here, shares nothing with the machine's own desktop, and ends with it.
//!
//! Debian packages: xvfb dbus-daemon webkit2gtk-driver

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// How long a started program may take until it answers; far more than a loaded machine needs.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often to ask a program that does not tell when it is ready.
const ASK_INTERVAL: Duration = Duration::from_millis(20);
/// How long an element may take to appear after the window opened.
const ELEMENT_LIMIT: Duration = Duration::from_secs(30);
/// The name of an element reference in WebDriver's JSON (W3C WebDriver, section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A program that is ended when the test is over, whether it passed or not.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, package: &str) -> Self {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("cannot start {program:?}: {error}; install {package}")))
    }

    /// The first line the program prints.
    fn first_line(&mut self) -> String {
        let output = self.0.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("its output is text");
        assert!(!line.is_empty(), "the program ended before it was ready");
        line.trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits, when dropped, until every program has ended that writes to this pipe. The driver hands its output on to the
/// application, and that to the web view's processes: none of them outlives the test.
struct Ended(ChildStdout);

impl Drop for Ended {
    fn drop(&mut self) {
        // What they wrote is of no interest, and a broken pipe has no writer either.
        let _ = std::io::copy(&mut self.0, &mut std::io::sink());
    }
}

/// What the person at the desktop has chosen.
#[derive(Clone, Copy, Default)]
pub(crate) struct Preferences {
    /// A dark desktop theme.
    pub(crate) dark: bool,
    /// Animations, which most desktops have. Without them the first picture is the last.
    pub(crate) animations: bool,
}

impl Preferences {
    /// As GTK reads them from `settings.ini`.
    fn settings(self) -> String {
        let Self { dark, animations } = self;
        format!("[Settings]\ngtk-application-prefer-dark-theme={dark}\ngtk-enable-animations={animations}\n")
    }
}

/// The application's open window.
pub(crate) struct Window {
    agent: ureq::Agent,
    session: String,
    // Dropped in this order: first the window, last the display under it.
    _driver: Running,
    _bus: Running,
    _display: Running,
    _all_gone: Ended,
    _home: tempfile::TempDir,
}

impl Window {
    /// Starts a desktop and opens the application in it.
    pub(crate) fn open(preferences: Preferences) -> Self {
        Self::open_program(preferences, Path::new(env!("CARGO_BIN_EXE_ahoy")))
    }

    /// Starts a desktop and opens the application in it that `program` starts.
    pub(crate) fn open_program(preferences: Preferences, program: &Path) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let settings = home.path().join(".config/gtk-3.0");
        std::fs::create_dir_all(&settings).expect("a folder in it");
        std::fs::write(settings.join("settings.ini"), preferences.settings()).expect("a file in it");

        // The server chooses a free display number and prints it once it accepts connections.
        let mut display = Running::start(
            Command::new("Xvfb")
                .args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
            "xvfb",
        );
        let display_name = format!(":{}", display.first_line());

        let environment = [
            ("DISPLAY", display_name.as_ref()),
            ("GDK_BACKEND", OsStr::new("x11")),
            ("NO_AT_BRIDGE", OsStr::new("1")),
            ("HOME", home.path().as_os_str()),
            ("XDG_RUNTIME_DIR", home.path().as_os_str()),
            ("LANG", OsStr::new("C.UTF-8")),
            ("TAURI_WEBVIEW_AUTOMATION", OsStr::new("true")),
        ];
        let removed = [
            "WAYLAND_DISPLAY",
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_CACHE_HOME",
            "LC_ALL",
            "LC_CTYPE",
            "GTK_THEME",
        ];
        let prepare = |program: &str| {
            let mut command = Command::new(program);
            command.envs(environment);
            for name in removed {
                command.env_remove(name);
            }
            command
        };

        let mut bus = Running::start(
            prepare("dbus-daemon")
                .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
            "dbus-daemon",
        );
        let bus_address = bus.first_line();

        let port = free_port();
        let mut driver = Running::start(
            prepare("WebKitWebDriver")
                .args(["--host=127.0.0.1", &format!("--port={port}")])
                .stdout(Stdio::piped())
                .env("DBUS_SESSION_BUS_ADDRESS", bus_address),
            "webkit2gtk-driver",
        );

        let all_gone = Ended(driver.0.stdout.take().expect("its output is piped"));

        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(START_LIMIT))
            .build()
            .new_agent();
        let address = format!("http://127.0.0.1:{port}");
        wait_until_listening(&agent, &address);

        let capabilities =
            json!({ "alwaysMatch": { "webkitgtk:browserOptions": { "binary": program, "args": [] } } });
        let opened = post(&agent, &format!("{address}/session"), &json!({ "capabilities": capabilities }));
        let id = opened["sessionId"].as_str().expect("a session has an id");
        let session = format!("{address}/session/{id}");

        let window = Self {
            agent,
            session,
            _driver: driver,
            _bus: bus,
            _display: display,
            _all_gone: all_gone,
            _home: home,
        };
        window.post("timeouts", &json!({ "implicit": ELEMENT_LIMIT.as_millis() as u64 }));
        window
    }

    /// Waits for the first element that `css` selects.
    pub(crate) fn find(&self, css: &str) -> Element<'_> {
        self.locate("css selector", css)
    }

    /// Waits for the first element whose whole text is `text`.
    pub(crate) fn find_text(&self, text: &str) -> Element<'_> {
        self.locate("xpath", &format!("//*[normalize-space(text())={text:?}]"))
    }

    /// The element that has the keyboard.
    pub(crate) fn focused(&self) -> Element<'_> {
        Element::from(self, &self.get("element/active"))
    }

    /// Presses and releases a key, given as its character (U+E004 is Tab: W3C WebDriver, section 17.4.2).
    pub(crate) fn press(&self, key: char) {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post(
            "actions",
            &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }),
        );
    }

    /// Runs the body of a function in the page and gives what it returns; a promise is waited for.
    pub(crate) fn run(&self, body: &str) -> Value {
        self.post("execute/sync", &json!({ "script": body, "args": [] }))
    }

    /// The window's content as PNG, stored as `name` in the folder for the files of this build's tests.
    pub(crate) fn screenshot(&self, name: &str) -> PathBuf {
        // The driver hands out what was painted last: let the current state be painted first.
        self.run(
            "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))",
        );
        let picture = self.get("screenshot");
        let png = BASE64_STANDARD.decode(picture.as_str().expect("a picture")).expect("base64");
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, png).expect("the screenshot can be stored");
        path
    }

    fn locate(&self, strategy: &str, selector: &str) -> Element<'_> {
        Element::from(self, &self.post("element", &json!({ "using": strategy, "value": selector })))
    }

    fn get(&self, path: &str) -> Value {
        let response = self.agent.get(format!("{}/{path}", self.session)).call();
        value(response, path)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        post(&self.agent, &format!("{}/{path}", self.session), body)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Closes the application. Ending the driver alone would leave it running.
        let _ = self.agent.delete(&self.session).call();
    }
}

/// An element of the page.
pub(crate) struct Element<'a> {
    window: &'a Window,
    id: String,
}

impl<'a> Element<'a> {
    fn from(window: &'a Window, reference: &Value) -> Self {
        let id = reference[ELEMENT].as_str().expect("an element reference").to_owned();
        Self { window, id }
    }

    /// The text as it is seen: nothing when the element is hidden.
    pub(crate) fn text(&self) -> String {
        self.window.get(&format!("element/{}/text", self.id)).as_str().expect("a text").to_owned()
    }

    /// The computed value of a CSS property.
    pub(crate) fn css(&self, property: &str) -> String {
        let value = self.window.get(&format!("element/{}/css/{property}", self.id));
        value.as_str().expect("a property").to_owned()
    }

    /// Whether a person can see it.
    pub(crate) fn displayed(&self) -> bool {
        self.window.get(&format!("element/{}/displayed", self.id)) == json!(true)
    }
}

/// A port that nothing listens on. The driver cannot choose one itself.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Asks the driver until it answers: it does not tell when it is ready.
fn wait_until_listening(agent: &ureq::Agent, address: &str) {
    let started = Instant::now();
    while agent.get(format!("{address}/status")).call().is_err() {
        assert!(started.elapsed() < START_LIMIT, "WebKitWebDriver does not answer at {address}");
        std::thread::sleep(ASK_INTERVAL);
    }
}

fn post(agent: &ureq::Agent, address: &str, body: &Value) -> Value {
    value(agent.post(address).send_json(body), address)
}

fn value(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>, what: &str) -> Value {
    let mut response = response.unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut answer: Value = response.body_mut().read_json().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(response.status().is_success(), "{what}: {answer}");
    answer["value"].take()
}
