//! The real program: its first start, its commands, how it stops.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::support::program::{Program, command};
use rustix::process::Signal;

fn output(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String) {
    let Output { status, stdout, stderr } =
        command(folder).args(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = [stdout, stderr].concat();
    (status.success(), String::from_utf8(text).unwrap())
}

fn sign_up(program: &Program, handle: &str) -> String {
    let body = format!(r#"{{"handle":"{handle}","name":"A","password":"correct horse","device_name":"d"}}"#);
    program.request(&format!("POST /v1/accounts HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

#[test]
fn a_first_start_needs_no_configuration_and_the_second_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    assert!(sign_up(&program, "ada").starts_with("HTTP/1.0 201"), "signing up works");
    assert!(program.request("GET /ready HTTP/1.0\r\n\r\n").contains("\"ready\""));
    let data = folder.path().join("ahoy-data");
    assert_eq!(std::fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
    program.signal(Signal::TERM);
    let (well, log, took) = program.end();
    assert!(well, "{log}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!log.contains("correct horse") && !log.contains("eyJ"), "{log}");
    let program = Program::start(folder.path());
    assert!(sign_up(&program, "ada").contains("handle_taken"));
    program.signal(Signal::INT);
    assert!(program.end().0);
}

#[test]
fn what_was_said_to_be_stored_survives_being_killed() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    assert!(sign_up(&program, "ada").starts_with("HTTP/1.0 201"));
    program.signal(Signal::KILL);
    assert!(!program.end().0);
    let program = Program::start(folder.path());
    assert!(sign_up(&program, "ada").contains("handle_taken"));
}

#[test]
fn a_connection_that_says_nothing_does_not_keep_it_from_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    let _silent = TcpStream::connect(&program.address).unwrap();
    let mut half = TcpStream::connect(&program.address).unwrap();
    half.write_all(b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").unwrap();
    program.signal(Signal::TERM);
    let (well, log, took) = program.end();
    assert!(well && took < Duration::from_secs(10), "{took:?} {log}");
}

#[test]
fn a_configuration_is_checked_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(output(folder, &["check-config"], &[]), (true, "The configuration makes sense.\n".into()));
    std::fs::write(folder.join("bad.toml"), "[http]\nlisten = \"0.0.0.0:80\"\n[auth]\nacess_token_s = 60\n")
        .unwrap();
    let (well, text) = output(folder, &["check-config", "--config", "bad.toml"], &[]);
    assert!(!well && text.contains("acess_token_s") && text.contains("bad.toml"), "{text}");
    let (well, text) = output(folder, &["--config", "bad.toml"], &[]);
    assert!(!well && text.contains("acess_token_s"), "{text}");
    let (well, text) = output(folder, &["check-config"], &[("AHOY_SERVER__HTTP__LISTEN", "0.0.0.0:80")]);
    assert!(!well && text.contains("allow_plain_http"), "{text}");
    let (well, text) = output(folder, &["check-config"], &[("AHOY_SERVER__TLS__KEY", "key.pem")]);
    assert!(!well && text.contains("certificate and key belong together"), "{text}");
    let tls = [("AHOY_SERVER__TLS__KEY", "key.pem"), ("AHOY_SERVER__TLS__CERTIFICATE", "none.pem")];
    let (well, text) = output(folder, &["check-config"], &tls);
    assert!(!well && text.contains("none.pem can't be read"), "{text}");
    assert!(!folder.join("ahoy-data").exists(), "checking makes nothing");
}

#[test]
fn the_printed_configuration_is_one_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (well, text) = output(folder, &["print-config"], &[]);
    assert!(well);
    std::fs::write(folder.join("ahoy-server.toml"), text).unwrap();
    assert!(output(folder, &["check-config"], &[]).0);
}

#[test]
fn keys_and_classes_are_changed_by_commands() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    sign_up(&program, "ada");
    let keys = |program: &Program| {
        program.request("GET /.well-known/jwks.json HTTP/1.0\r\n\r\n").matches("\"kid\"").count()
    };
    assert_eq!(keys(&program), 1);
    assert!(output(folder.path(), &["keys", "rotate"], &[]).0);
    program.signal(Signal::HUP);
    let begun = Instant::now();
    while keys(&program) != 2 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the new key is not published");
        std::thread::yield_now();
    }
    assert!(output(folder.path(), &["accounts", "set-class", "ada", "partner"], &[]).0);
    let (well, text) = output(folder.path(), &["accounts", "set-class", "bob", "partner"], &[]);
    assert!(!well && text.contains("no account"), "{text}");
    let listens = [("AHOY_SERVER__HTTP__LISTEN", &*program.address)];
    assert!(output(folder.path(), &["health"], &listens).0);
    program.signal(Signal::TERM);
    let (well, log, _) = program.end();
    assert!(well && log.contains("keys were read again"), "{log}");
    let (well, _) = output(folder.path(), &["health"], &[("AHOY_SERVER__HTTP__LISTEN", "127.0.0.1:1")]);
    assert!(!well);
}
