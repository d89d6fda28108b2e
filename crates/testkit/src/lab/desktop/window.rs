//! A program's web view on a [`Desktop`], used through WebDriver (W3C WebDriver, Working Draft level 2).

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::display::{DisplayError, close_window, picture_of, take_focus_away};
use super::drag::Dragged;
use super::{Desktop, Running};
use crate::lab::LabError;

const PACKAGE: &str = "webkit2gtk-driver";
const DRIVER: &str = "WebKitWebDriver";
/// How long the driver and the program may take to start, and any script to answer; far more than a loaded machine needs.
const LIMIT: Duration = Duration::from_secs(60);
/// How often to ask a program that does not tell when it is ready.
const ASK_INTERVAL: Duration = Duration::from_millis(20);
/// How long an element may take to appear.
const ELEMENT_LIMIT: Duration = Duration::from_secs(30);
/// A function that finds a button by its name.
const CONTROL: &str = "(name) => [...document.querySelectorAll('button')]
    .find((b) => (b.getAttribute('aria-label') ?? b.textContent).trim() === name)";
/// The name of an element reference in WebDriver's JSON (section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Waits, when dropped, until every program has ended that writes to this pipe. The driver hands its output on to the
/// program, and that to the web view's processes: none of them outlives the window.
#[derive(Debug)]
struct AllGone(ChildStdout);

impl Drop for AllGone {
    fn drop(&mut self) {
        // What they wrote is of no interest, and a broken pipe has no writer either.
        let _ = std::io::copy(&mut self.0, &mut std::io::sink());
    }
}

/// The open window of a program that has a web view. Dropping it closes the program.
#[derive(Debug)]
pub struct Window<'a> {
    agent: ureq::Agent,
    session: String,
    // Dropped after the session was closed; ending the driver alone would leave the program running.
    driver: Running,
    _all_gone: Option<AllGone>,
    desktop: &'a Desktop,
}

impl<'a> Window<'a> {
    /// Starts `program` with `env` added to the desktop's environment and waits for its page.
    pub fn open(
        desktop: &'a Desktop,
        program: &Path,
        env: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> Result<Self, LabError> {
        Self::open_after(desktop, program, env, || Ok(()))
    }

    /// The same with something to be done when everything else is ready and the program has not been started yet.
    pub fn open_after(
        desktop: &'a Desktop,
        program: &Path,
        env: impl IntoIterator<Item = (&'static str, OsString)>,
        prepare: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<Self, LabError> {
        let port = free_port()?;
        let mut command = desktop.command(DRIVER);
        // What leads to the desktop stays, whatever the labs of devices would have.
        let own = ["HOME", "XDG_RUNTIME_DIR"];
        command.envs(env.into_iter().filter(|(name, _)| !own.contains(name)));
        command
            .args(["--host=127.0.0.1", &format!("--port={port}")])
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .stdout(Stdio::piped());
        let mut driver = Running::start(&mut command, PACKAGE)?;
        let all_gone = driver.0.stdout.take().map(AllGone);
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(LIMIT))
            .build()
            .new_agent();
        let address = format!("http://127.0.0.1:{port}");
        wait_until_listening(&agent, &address)?;
        prepare()?;
        let options = json!({ "binary": program, "args": [] });
        let capabilities = json!({ "alwaysMatch": { "webkitgtk:browserOptions": options } });
        let opened = post(&agent, &format!("{address}/session"), &json!({ "capabilities": capabilities }))?;
        let id = text(&opened["sessionId"], "a session")?;
        let session = format!("{address}/session/{id}");
        let window = Self { agent, session, driver, _all_gone: all_gone, desktop };
        let timeouts = json!({
            "implicit": ELEMENT_LIMIT.as_millis() as u64,
            "script": (LIMIT - Duration::from_secs(10)).as_millis() as u64,
        });
        window.post("timeouts", &timeouts)?;
        Ok(window)
    }

    /// The desktop it is on.
    pub fn desktop(&self) -> &'a Desktop {
        self.desktop
    }

    /// Waits for the first element that the CSS selector finds.
    pub fn find(&self, css: &str) -> Result<Element<'_>, LabError> {
        self.locate("css selector", css)
    }

    /// Waits for the first element whose whole text is `text`.
    pub fn find_text(&self, text: &str) -> Result<Element<'_>, LabError> {
        self.locate("xpath", &format!("//*[normalize-space(text())={text:?}]"))
    }

    /// The element that has the keyboard.
    pub fn focused(&self) -> Result<Element<'_>, LabError> {
        Element::of(self, &self.get("element/active")?)
    }

    /// Presses and releases a key, given as its character (U+E004 is Tab: section 17.4.2).
    pub fn press_key(&self, key: char) -> Result<(), LabError> {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.post("actions", &actions).map(drop)
    }

    /// Runs the body of a function in the page and returns what it returns; a promise is waited for.
    pub fn run(&self, body: &str) -> Result<Value, LabError> {
        self.post("execute/sync", &json!({ "script": body, "args": [] }))
    }

    /// Waits until an expression in the page is true, looking at each refresh of the screen.
    pub fn until(&self, expression: &str) -> Result<(), LabError> {
        let wait = format!(
            "return new Promise((done) => {{
               const look = () => ({expression}) ? done(true) : requestAnimationFrame(look);
               look();
             }})"
        );
        self.run(&wait).map(drop)
    }

    /// Waits until there is a button with this name, which is what a screen reader calls it.
    pub fn until_control(&self, name: &str) -> Result<(), LabError> {
        self.until(&format!("({CONTROL})({name:?}) !== undefined"))
    }

    /// Waits for a button with this name and presses it.
    pub fn press(&self, name: &str) -> Result<(), LabError> {
        self.until_control(name)?;
        self.run(&format!("({CONTROL})({name:?}).click()")).map(drop)
    }

    /// Gives the window a size in pixels.
    pub fn resize(&self, width: u32, height: u32) -> Result<(), LabError> {
        self.post("window/rect", &json!({ "width": width, "height": height })).map(drop)
    }

    /// Holds files over the window, as somebody does who drags them there.
    pub fn drag_over(&self, paths: &[&Path]) -> Result<Dragged, LabError> {
        Ok(Dragged::over(&self.desktop.display_name, paths)?)
    }

    /// Whoever works at the desktop turns to something else: the window has the keyboard no more.
    pub fn look_away(&self) -> Result<(), LabError> {
        Ok(take_focus_away(&self.desktop.display_name)?)
    }

    /// Closes the window as its close button does, and waits until the program has ended. What is asked of it afterwards
    /// fails.
    pub fn close(&self) -> Result<(), LabError> {
        let process = self.process()?;
        close_window(&self.desktop.display_name)?;
        let started = Instant::now();
        while Path::new("/proc").join(process.to_string()).exists() {
            if started.elapsed() > LIMIT {
                let (what, answer) = ("closing".into(), "the program goes on".into());
                return Err(LabError::Driver { what, answer });
            }
            thread::sleep(ASK_INTERVAL);
        }
        Ok(())
    }

    /// What is to be seen of the window, as PNG.
    pub fn screenshot(&self) -> Result<Vec<u8>, LabError> {
        // Not through the driver, which knows only what was painted last, and nothing of pages that are painted without a
        // compositor. First let the current state be painted.
        self.run(
            "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))",
        )?;
        Ok(picture_of(&self.desktop.display_name)?)
    }

    /// The program's process number.
    pub fn process(&self) -> Result<u32, LabError> {
        // The driver has started nothing else.
        children(self.driver.0.id())?.first().copied().ok_or_else(|| LabError::Driver {
            what: "the program's process".into(),
            answer: "there is none: it has ended".into(),
        })
    }

    /// The program's process number and those of all that it started, such as the web view's.
    pub fn processes(&self) -> Result<Vec<u32>, LabError> {
        let mut found = vec![self.process()?];
        let mut looked_at = 0;
        while let Some(&process) = found.get(looked_at) {
            found.extend(children(process)?);
            looked_at += 1;
        }
        Ok(found)
    }

    fn locate(&self, strategy: &str, selector: &str) -> Result<Element<'_>, LabError> {
        Element::of(self, &self.post("element", &json!({ "using": strategy, "value": selector }))?)
    }

    fn get(&self, path: &str) -> Result<Value, LabError> {
        let response = self.agent.get(format!("{}/{path}", self.session)).call();
        value(response, path)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, LabError> {
        post(&self.agent, &format!("{}/{path}", self.session), body)
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        let processes = self.processes().unwrap_or_default();
        // A program that was closed has no session any more.
        let _ = self.agent.delete(&self.session).call();
        for process in processes {
            // The end of the session closes the page and leaves the program running.
            let process = i32::try_from(process).ok().and_then(Pid::from_raw);
            let _ = process.map(|process| kill_process(process, Signal::KILL));
        }
    }
}

/// An element of the page.
#[derive(Debug)]
pub struct Element<'a> {
    window: &'a Window<'a>,
    id: String,
}

impl<'a> Element<'a> {
    fn of(window: &'a Window<'a>, reference: &Value) -> Result<Self, LabError> {
        Ok(Self { window, id: text(&reference[ELEMENT], "an element")? })
    }

    /// The text as it is seen: nothing when the element is hidden.
    pub fn text(&self) -> Result<String, LabError> {
        text(&self.window.get(&format!("element/{}/text", self.id))?, "a text")
    }

    /// The computed value of a CSS property.
    pub fn css(&self, property: &str) -> Result<String, LabError> {
        text(&self.window.get(&format!("element/{}/css/{property}", self.id))?, "a CSS property")
    }

    /// Whether a person can see it.
    pub fn displayed(&self) -> Result<bool, LabError> {
        Ok(self.window.get(&format!("element/{}/displayed", self.id))? == json!(true))
    }
}

/// Processes that `process` has started (proc(5), `children`: exact while none of them comes or goes).
fn children(process: u32) -> Result<Vec<u32>, LabError> {
    let mut found = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let listed = fs::read_to_string(thread?.path().join("children"));
        found.extend(listed.unwrap_or_default().split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    Ok(found)
}

/// A port that nothing listens on. The driver can't choose one itself.
fn free_port() -> Result<u16, LabError> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Asks the driver until it answers: it does not tell when it is ready.
fn wait_until_listening(agent: &ureq::Agent, address: &str) -> Result<(), LabError> {
    let started = Instant::now();
    while let Err(error) = agent.get(format!("{address}/status")).call() {
        if started.elapsed() > LIMIT {
            let (seconds, output) = (LIMIT.as_secs(), error.to_string());
            return Err(LabError::NotReady { tool: DRIVER, seconds, output });
        }
        thread::sleep(ASK_INTERVAL);
    }
    Ok(())
}

fn text(value: &Value, what: &str) -> Result<String, LabError> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| LabError::Driver { what: what.to_owned(), answer: value.to_string() })
}

fn post(agent: &ureq::Agent, address: &str, body: &Value) -> Result<Value, LabError> {
    value(agent.post(address).send_json(body), address)
}

fn value(
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    what: &str,
) -> Result<Value, LabError> {
    let failed = |answer: String| LabError::Driver { what: what.to_owned(), answer };
    let mut response = response.map_err(|error| failed(error.to_string()))?;
    let mut answer: Value = response.body_mut().read_json().map_err(|error| failed(error.to_string()))?;
    match response.status().is_success() {
        true => Ok(answer["value"].take()),
        false => Err(failed(answer["value"].to_string())),
    }
}

impl From<DisplayError> for LabError {
    fn from(error: DisplayError) -> Self {
        LabError::Driver { what: "the window on its display".into(), answer: error.to_string() }
    }
}
