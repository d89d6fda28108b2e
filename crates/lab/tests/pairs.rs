//! Pairs of networks between which calls come about, tried by the lab itself. Needs root, and `ahoy-cli` and `ahoy-server`
//! beside `ahoy-lab`, where the tests of the whole workspace have them built.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod needs_root {
    use std::process::{Command, Stdio};

    use serde_json::Value;

    /// Tries pairs; returns their rows.
    fn tried(pairs: &[&str]) -> Vec<Value> {
        let mut lab = Command::new(env!("CARGO_BIN_EXE_ahoy-lab"));
        lab.args(["nat", "--json"]).args(pairs.iter().flat_map(|pair| ["--pair", pair]));
        let output = lab.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let findings: Value = serde_json::from_str(text.lines().last().expect("it says something")).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        findings["pairs"].as_array().unwrap().clone()
    }

    #[test]
    fn calls_come_about_between_networks_as_theory_expects() {
        let pairs = ["open:open", "ipv6-only:dual-stack", "symmetric:open", "cgnat:open"];
        for row in tried(&pairs) {
            assert_eq!(
                (&row["found"], &row["verdict"]),
                (&"direct".into(), &"as_expected".into()),
                "{row:#}"
            );
        }
    }

    #[test]
    fn a_call_comes_about_by_tcp_where_one_side_has_no_udp_and_the_other_can_be_connected_to() {
        let rows = tried(&["open:udp-blocked"]);
        assert_eq!(rows[0]["found"], "direct over TCP", "{:#}", rows[0]);
    }

    #[test]
    fn calls_come_about_by_relays_where_there_is_no_other_way() {
        let pairs = [
            "symmetric:symmetric",
            "port-restricted:udp-blocked",
            "tcp443-only:port-restricted",
            "proxy-only:open",
            "ipv6-only:cgnat",
        ];
        let rows = tried(&pairs);
        let found: Vec<_> = rows.iter().map(|row| row["found"].as_str().unwrap()).collect();
        assert_eq!(found.len(), pairs.len());
        assert!(found.iter().all(|found| found.starts_with("relay")), "{found:?}");
    }

    #[test]
    fn calls_come_about_directly_through_two_routers() {
        for row in tried(&["port-restricted:port-restricted", "address-restricted:symmetric"]) {
            assert_eq!(row["found"], "direct", "{row:#}");
        }
    }

    /// What becomes of a call, without delay on its links.
    fn recovered(event: &str) -> Value {
        let mut lab = Command::new(env!("CARGO_BIN_EXE_ahoy-lab"));
        lab.args(["recover", "--quick", "--json", "--only", event]);
        let output = lab.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let findings: Value = serde_json::from_str(text.lines().last().expect("it says something")).unwrap();
        findings["rows"][0].clone()
    }

    /// The lab's goals are for quiet machines; here it is that the call goes on at all, and not by a restart, which takes
    /// several times as long.
    const LOOSE_MS: f64 = 3000.0;

    #[test]
    fn a_call_goes_on_when_a_cable_is_pulled_an_address_changes_or_a_relay_dies() {
        for event in ["unplugged", "new-address", "relay-killed"] {
            let row = recovered(event);
            for silence in row["silence_ms"].as_array().unwrap() {
                assert!(silence.as_f64().unwrap() < LOOSE_MS, "{event}: {row}");
            }
        }
    }

    #[test]
    fn an_interrupted_lab_takes_its_networks_with_it() {
        let mut lab = Command::new(env!("CARGO_BIN_EXE_ahoy-lab"));
        lab.args(["nat", "--pair", "open:symmetric"]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut lab = lab.spawn().unwrap();
        let own = format!("ahoy-{}-", lab.id());
        let count = || {
            let names = std::fs::read_dir("/run/netns").into_iter().flatten();
            names
                .filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with(&own))
                .count()
        };
        // Internet, server, and somebody's host: by then it is in the middle of a pair.
        while count() < 3 {
            assert!(lab.try_wait().unwrap().is_none(), "it runs");
            std::thread::yield_now();
        }
        let sent = Command::new("kill").args(["-INT", &lab.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(lab.wait().unwrap().code(), Some(130));
        assert_eq!(count(), 0);
    }
}
