//! Calls on a machine that has no network, or no port left. Needs root, for network namespaces.

mod needs_root {
    use std::process::Command;

    use crate::support::{call, problem, run};

    /// `command` in a network namespace of its own, after the shell lines of `setup` in it.
    fn isolated(setup: &str, command: &Command) -> Command {
        let mut isolated = Command::new("unshare");
        isolated.args(["--net", "sh", "-e", "-c", &format!("{setup}\nexec \"$0\" \"$@\"")]);
        isolated.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                isolated.env(name, value);
            }
        }
        isolated
    }

    #[test]
    fn without_a_network_interface_that_is_up_there_is_no_call_and_the_user_hears_why() {
        let ended = run(isolated(":", &call(2, &[])), Vec::new());
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let report = ended.json();
        assert_eq!(report["problems"].as_array().unwrap().len(), 1, "only the cause is told: {report:#}");
        let told = problem(&report, "not_connected");
        assert!(
            told.starts_with("The two ends never connected") && told.contains("loopback interface"),
            "{told}"
        );
    }

    #[test]
    fn when_all_ports_are_taken_there_is_no_call_and_the_user_hears_why() {
        // A single port: the caller's end gets it, the callee's gets none.
        let one = "ip link set lo up; echo '40000 40000' > /proc/sys/net/ipv4/ip_local_port_range";
        let ended = run(isolated(one, &call(2, &[])), Vec::new());
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(
            ended.stderr.contains("ahoy-cli: no UDP port could be opened for the call"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains("close programs that hold many connections"), "{}", ended.stderr);
    }

    #[test]
    fn with_ports_for_both_ends_the_call_comes_about() {
        let few = "ip link set lo up; echo '40000 40003' > /proc/sys/net/ipv4/ip_local_port_range";
        let report = run(isolated(few, &call(2, &[])), Vec::new()).json();
        assert!(report["path"]["local"].as_str().unwrap().starts_with("127.0.0.1:4000"), "{report:#}");
    }
}
