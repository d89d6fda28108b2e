//! The desk on a machine without devices: what is missing is told, and everything else works.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::page::{SOON, WINDOW};
use ahoy_client::ProblemCode;
use ahoy_client::account::AccountPlace;
use ahoy_client::desk::{CallSummary, Desk, DeskError, DeskEvent, DeskOptions, PeopleOptions};
use ahoy_client::doctor::{Check, CheckResult, ConclusionCode, Progress};
use ahoy_client::loopback::{CallSnapshot, DeviceStanding};
use ahoy_client::settings::{SettingsChange, Theme};
use ahoy_signal::ClientInfo;
use tokio::sync::mpsc;

/// A desk at which nobody signs in.
pub(crate) fn nobody() -> PeopleOptions {
    let client = ClientInfo { name: "test".into(), version: "0.0.0".into() };
    PeopleOptions { accounts: AccountPlace::Memory { folder: std::env::temp_dir() }, client }
}

struct Test {
    desk: Arc<Desk>,
    events: mpsc::UnboundedReceiver<DeskEvent>,
    _folder: tempfile::TempDir,
}

impl Test {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            DeskOptions { origins: vec![WINDOW.into()], ..DeskOptions::in_folder(folder.path(), nobody()) };
        let (told, events) = mpsc::unbounded_channel();
        let told = Mutex::new(told);
        let listener = Arc::new(move |event| drop(told.lock().unwrap().send(event)));
        Self { desk: Arc::new(Desk::open(options, listener).await.unwrap()), events, _folder: folder }
    }

    /// The first event that `pick` takes; others pass.
    async fn until<T>(&mut self, what: &str, pick: impl Fn(DeskEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = pick(self.events.recv().await.expect("the desk is there")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("never came: {what}"))
    }

    async fn call(&mut self, what: &str, is_so: impl Fn(&CallSnapshot) -> bool) -> CallSnapshot {
        let pick = |event| match event {
            DeskEvent::Call(snapshot) if is_so(&snapshot) => Some(snapshot),
            _ => None,
        };
        self.until(what, pick).await
    }

    async fn summary(&mut self) -> CallSummary {
        let pick = |event| match event {
            DeskEvent::Ended(summary) => Some(summary),
            _ => None,
        };
        self.until("the call ends", pick).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_and_told() {
    let mut test = Test::new().await;
    let change =
        SettingsChange { name: Some("Ada".into()), theme: Some(Theme::Dark), ..SettingsChange::default() };
    let now = test.desk.change_settings(change).await.unwrap();
    assert_eq!((now.name.as_str(), now.theme), ("Ada", Theme::Dark));
    let pick = |event| match event {
        DeskEvent::Settings(told) => Some(told),
        _ => None,
    };
    assert_eq!(test.until("the settings are told", pick).await, now);
    assert_eq!(test.desk.settings(), now);
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_without_devices_goes_on_and_says_what_is_missing() {
    let mut test = Test::new().await;
    let nowhere = Some(Some("no-such-device".to_owned()));
    let change = SettingsChange {
        camera: nowhere.clone(),
        microphone: nowhere.clone(),
        speaker: nowhere,
        ..SettingsChange::default()
    };
    test.desk.change_settings(change).await.unwrap();
    assert!(matches!(test.desk.set_muted(true).await, Err(DeskError::NoCall)));
    test.desk.start_test_call().await.unwrap();
    assert!(matches!(test.desk.start_test_call().await, Err(DeskError::Busy)));
    assert!(matches!(test.desk.start_preview().await, Err(DeskError::Busy)));
    let failed = test
        .call("camera and microphone fail", |call| {
            call.camera.standing == DeviceStanding::Failed
                && call.microphone.standing == DeviceStanding::Failed
        })
        .await;
    for device in [&failed.camera, &failed.microphone] {
        assert!(device.trouble.as_ref().is_some_and(|p| p.message.contains("no-such-device")), "{device:?}");
    }
    test.desk.set_muted(true).await.unwrap();
    test.call("it is muted", |call| call.muted).await;
    let summary = test.desk.hang_up().await.expect("there was a call");
    assert_eq!(test.summary().await, summary);
    assert!(test.desk.hang_up().await.is_none(), "and there is none any more");
    assert!(!summary.ok && summary.fps.is_none(), "{summary:?}");
    assert!(!summary.problems.is_empty());
    test.desk.start_test_call().await.expect("again");
    test.desk.close().await;
    test.summary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_without_devices_says_what_is_missing() {
    let mut test = Test::new().await;
    let nowhere = Some(Some("no-such-device".to_owned()));
    let change = SettingsChange { camera: nowhere.clone(), microphone: nowhere, ..SettingsChange::default() };
    test.desk.change_settings(change).await.unwrap();
    test.desk.start_preview().await.unwrap();
    let pick = |event| match event {
        DeskEvent::Preview(now) if now.camera.trouble.is_some() && now.microphone.trouble.is_some() => {
            Some(now)
        }
        _ => None,
    };
    let now = test.until("both are missing", pick).await;
    assert_eq!(now.camera.standing, DeviceStanding::Failed);
    assert_eq!(now.camera.trouble.unwrap().code, ProblemCode::CameraNotConnected);
    test.desk.stop_preview().await;
}

/// A step of the examination of the connection.
fn progress(event: DeskEvent) -> Option<Progress> {
    match event {
        DeskEvent::ConnectionCheck(progress) => Some(progress),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_checked_and_its_steps_are_told() {
    let mut test = Test::new().await;
    assert!(matches!(test.desk.check_connection(None).await, Err(DeskError::NotSignedIn)));
    // A port that nobody listens at any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let report = test.desk.check_connection(Some(format!("http://{closed}"))).await.unwrap().unwrap();
    assert_eq!((report.ok, report.conclusions[0].code), (false, ConclusionCode::ServerDown));
    let began = Progress::Began { check: Check::Server };
    assert_eq!(test.until("a check begins", progress).await, began);
    let ended = test.until("it ends", progress).await;
    assert!(matches!(ended, Progress::Ended { check: Check::Server, result: CheckResult::Bad, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_the_connection_is_called_off_at_once() {
    let mut test = Test::new().await;
    // Somebody who takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", silent.local_addr().unwrap());
    let desk = Arc::clone(&test.desk);
    let checking = tokio::spawn(async move { desk.check_connection(Some(server)).await });
    test.until("a check begins", progress).await;
    test.desk.stop_connection_check();
    assert!(checking.await.unwrap().unwrap().is_none());
}
