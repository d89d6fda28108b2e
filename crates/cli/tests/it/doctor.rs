//! `ahoy-cli doctor` on this machine. Faults of networks are injected by the tests of the lab.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use serde_json::Value;

use crate::support::people::{Person, Said, server};

/// The report, and the codes of its conclusions.
fn report(said: &Said, code: i32) -> (Value, Vec<String>) {
    assert_eq!(said.code, Some(code), "{}\n{}", said.stdout, said.stderr);
    let report: Value = serde_json::from_str(&said.stdout).expect("one line of JSON");
    let conclusions = report["conclusions"].as_array().unwrap();
    let codes = conclusions.iter().map(|conclusion| conclusion["code"].as_str().unwrap().to_owned());
    let codes = codes.collect();
    (report, codes)
}

/// The same for somebody without an account.
fn stranger(server: &str, code: i32) -> (Value, Vec<String>) {
    report(&Person::new(server).run(&["doctor", "--server", server]), code)
}

#[test]
fn where_nothing_is_wrong_the_relay_passes_on_what_two_ends_say() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let (report, codes) = report(&ada.run(&["doctor"]), 0);
    assert_eq!(codes, ["all_well"], "{report:#}");
    let findings = &report["findings"];
    assert_eq!(findings["path"], "direct");
    assert_eq!((&findings["call"]["sent"], &findings["call"]["way"]), (&200.into(), &"udp".into()));
    assert_eq!(findings["relays"][0]["outcome"], "allocated");
    assert!(!report.to_string().contains("credential"), "{report:#}");
}

#[test]
fn in_a_hurry_there_is_no_call() {
    let server = server();
    let ada = Person::signed_up(&server, "ada", "Ada");
    let (report, codes) = report(&ada.run(&["doctor", "--quick"]), 0);
    assert_eq!(codes, ["all_well"], "{report:#}");
    assert!(report["findings"]["call"].is_null() && report["findings"]["udp"][0]["mapped"].is_string());
}

#[test]
fn a_stranger_learns_that_signing_in_shows_more() {
    let server = server();
    let (report, codes) = stranger(server.url(), 0);
    assert_eq!(codes, ["not_signed_in"], "{report:#}");
}

#[test]
fn nobody_at_the_address_is_a_server_that_is_down() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (report, codes) = stranger(&format!("http://{free}"), 1);
    assert_eq!(codes, ["server_down"], "{report:#}");
}

#[test]
fn what_else_answers_is_told_from_a_server() {
    for (answer, expected) in [
        (
            "HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\n\r\n",
            "captive_portal",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not_ahoy"),
        ("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "server_unwell"),
        ("SSH-2.0-OpenSSH_9.6\r\n", "not_ahoy"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Ends with the test's process: nothing tells it that it is not needed any more.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 2048]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        let (report, codes) = stranger(&url, 1);
        assert_eq!(codes, [expected], "{report:#}");
    }
}

#[test]
fn without_a_server_nothing_can_be_checked() {
    Person::new("").run(&["doctor"]).fails(3, "name the server with --server");
}
