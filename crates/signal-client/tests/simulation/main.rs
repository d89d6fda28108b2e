//! Sessions and a room, the server's and the clients' own machines, over networks that break in every way, in virtual time:
//! each seed is another quarter of an hour of bad luck, and the same one every time.

mod client;
mod network;
mod server;
mod world;

use world::{Luck, World};

/// Runs that every change has to pass.
const SEEDS: u64 = 400;
/// Runs of the long suite.
const MANY_SEEDS: u64 = 20_000;

fn run_all(seeds: std::ops::Range<u64>, luck: Luck) {
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| World::new(seed, luck).run());
        if outcome.is_err() {
            panic!("seed {seed} with {luck:?} went wrong, see above");
        }
    }
}

#[test]
fn whatever_the_network_does_every_line_is_said_once_and_everyone_sees_the_same_room() {
    run_all(0..SEEDS, Luck::BadNetworks);
}

#[test]
fn when_the_server_is_killed_everyone_comes_back_into_one_room_and_nothing_is_said_twice() {
    run_all(0..SEEDS, Luck::BadServers);
}

#[test]
fn long_thousands_of_bad_networks() {
    run_all(0..MANY_SEEDS, Luck::BadNetworks);
}

#[test]
fn long_thousands_of_killed_servers() {
    run_all(0..MANY_SEEDS, Luck::BadServers);
}
