//! Devices that call each other through the server's own machine, over networks that delay everything differently.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::time::{Duration, Instant};

use ahoy_call::{
    CallMachine, Command, CommandError, Input, LegStatus, Outcome, Output, PeerId, StageName, View,
};
use ahoy_signal::{CallId, CallMedia, CallPeer, CallStage, CallSummary, Handle, Name, UserId};
use rand::RngExt as _;
use world::{Device, World};

const SOON: Duration = Duration::from_secs(3);
const MINUTE: Duration = Duration::from_secs(60);

/// The outcomes of a device's calls so far.
fn outcomes(world: &World, device: Device) -> Vec<Outcome> {
    world.over(device).iter().map(|record| record.outcome).collect()
}

/// Two who talk.
fn talking(seed: u64) -> World {
    let mut world = World::new(seed, &[1, 1]);
    world.call(0, 1);
    world.run_for(SOON);
    world.answer(1);
    world.run_for(SOON);
    assert!(world.talks(0) && world.talks(1), "seed {seed}: {:?}", world.snapshot(0));
    world
}

fn assert_quiet(world: &World, devices: usize) {
    assert_eq!(world.known_to_server(), (0, 0));
    for device in 0..devices {
        let snapshot = world.snapshot(device);
        assert!(snapshot.current.is_none() && snapshot.incoming.is_empty(), "{device}: {snapshot:?}");
    }
}

#[test]
fn a_call_rings_is_taken_and_ends_for_both() {
    for seed in 0..50 {
        let mut world = World::new(seed, &[1, 1]);
        world.call(0, 1);
        world.run_for(SOON);
        assert_eq!(world.snapshot(0).current.unwrap().stage, StageName::Ringing);
        world.answer(1);
        world.run_for(SOON);
        assert!(world.talks(0) && world.talks(1));
        world.run_for(MINUTE);
        world.command(0, Command::HangUp).unwrap();
        world.run_for(SOON);
        assert_quiet(&world, 2);
        assert_eq!(outcomes(&world, 0), [Outcome::HungUpHere]);
        assert_eq!(outcomes(&world, 1), [Outcome::HungUpThere]);
        assert!(world.over(0)[0].answered_for.unwrap() > MINUTE);
    }
}

#[test]
fn declining_stops_the_ring_on_every_device() {
    let mut world = World::new(1, &[1, 3]);
    let call = world.call(0, 1);
    world.run_for(SOON);
    assert!((1..=3).all(|device| world.snapshot(device).incoming.len() == 1));
    world.command(2, Command::Decline { call }).unwrap();
    world.run_for(SOON);
    assert_quiet(&world, 4);
    assert_eq!(outcomes(&world, 0), [Outcome::Declined]);
    assert_eq!(outcomes(&world, 2), [Outcome::DeclinedHere]);
    assert_eq!(outcomes(&world, 1), [Outcome::DeclinedElsewhere]);
}

#[test]
fn a_call_that_two_devices_take_at_once_is_taken_by_one() {
    for seed in 0..200 {
        let mut world = World::new(seed, &[1, 2]);
        world.call(0, 1);
        world.run_for(SOON);
        world.answer(1);
        world.answer(2);
        world.run_for(SOON);
        assert!(world.talks(0), "seed {seed}");
        assert_eq!(usize::from(world.talks(1)) + usize::from(world.talks(2)), 1, "seed {seed}");
        let other = if world.talks(1) { 2 } else { 1 };
        assert_eq!(world.over(other).len(), 1, "seed {seed}");
        assert!(matches!(outcomes(&world, other)[0], Outcome::AnsweredElsewhere | Outcome::Missed));
    }
}

#[test]
fn a_call_that_nobody_takes_is_missed_there_and_not_answered_here() {
    let mut world = World::new(1, &[1, 1]);
    world.call(0, 1);
    world.run_for(MINUTE);
    assert_quiet(&world, 2);
    assert_eq!(outcomes(&world, 0), [Outcome::NoAnswer]);
    assert_eq!(outcomes(&world, 1), [Outcome::Missed]);
}

#[test]
fn a_caller_who_gives_up_leaves_a_missed_call() {
    let mut world = World::new(1, &[1, 1]);
    world.call(0, 1);
    world.run_for(SOON);
    world.command(0, Command::HangUp).unwrap();
    world.run_for(SOON);
    assert_quiet(&world, 2);
    assert_eq!(outcomes(&world, 0), [Outcome::Cancelled]);
    assert_eq!(outcomes(&world, 1), [Outcome::Missed]);
}

#[test]
fn whoever_is_in_a_call_is_busy() {
    let mut world = World::new(1, &[1, 1, 1]);
    world.call(0, 1);
    world.run_for(SOON);
    world.answer(1);
    world.run_for(SOON);
    world.call(2, 1);
    world.run_for(SOON);
    assert_eq!(outcomes(&world, 2), [Outcome::Busy]);
    assert!(world.talks(0) && world.talks(1), "the others talk on");
    let (call, peer) = (ahoy_signal::CallId::from_bits(9), world.user(2));
    let refused = world.command(0, Command::Call { call, peer, media: CallMedia::Audio });
    assert_eq!(refused, Err(CommandError::InCall));
}

#[test]
fn whoever_has_no_device_online_is_offline() {
    let mut world = World::new(1, &[1, 1]);
    world.kill(1);
    world.call(0, 1);
    world.run_for(SOON);
    assert_eq!(outcomes(&world, 0), [Outcome::Offline]);
}

#[test]
fn both_calling_at_once_is_one_call_whatever_the_order() {
    for seed in 0..1_000 {
        let mut world = World::new(seed, &[1, 1]);
        let (first, second) = if world.random.random() { (0, 1) } else { (1, 0) };
        world.call(first, second);
        let apart = Duration::from_millis(world.random.random_range(0..900));
        world.run_for(apart);
        world.call(second, first);
        world.run_for(SOON);
        assert!(world.talks(0) && world.talks(1), "seed {seed}: {:?}", world.snapshot(0));
        assert_eq!(world.known_to_server(), (0, 1), "seed {seed}");
        assert!((0..2).all(|device| world.over(device).is_empty()), "seed {seed}: a call was lost");
        world.command(first, Command::HangUp).unwrap();
        world.run_for(SOON);
        assert_quiet(&world, 2);
        assert!((0..2).all(|device| world.over(device).len() == 1), "seed {seed}: more calls than one");
    }
}

#[test]
fn a_server_that_restarts_leaves_a_call_alone_and_its_end_is_told_directly() {
    for seed in 0..50 {
        let mut world = talking(seed);
        world.restart_server();
        world.run_for(MINUTE);
        assert!(world.talks(0) && world.talks(1), "seed {seed}");
        assert_eq!(world.restarts(0) + world.restarts(1), 0, "media were never in question");
        world.command(0, Command::HangUp).unwrap();
        world.run_for(SOON);
        assert_quiet(&world, 2);
        assert_eq!(outcomes(&world, 1), [Outcome::HungUpThere]);
    }
}

#[test]
fn a_server_that_restarts_while_it_rings_lets_it_ring_on() {
    for seed in 0..200 {
        let mut world = World::new(seed, &[1, 1]);
        world.call(0, 1);
        world.run_for(SOON);
        world.restart_server();
        world.run_for(SOON);
        assert_eq!(world.snapshot(1).incoming.len(), 1, "seed {seed}");
        assert!(world.over(1).is_empty(), "seed {seed}: it rang on");
        world.answer(1);
        world.run_for(SOON);
        assert!(world.talks(0) && world.talks(1), "seed {seed}");
    }
}

#[test]
fn a_server_that_restarts_while_a_call_is_taken_loses_it_not() {
    for seed in 0..200 {
        let mut world = World::new(seed, &[1, 1]);
        world.call(0, 1);
        world.run_for(SOON);
        world.answer(1);
        let meanwhile = Duration::from_millis(world.random.random_range(0..800));
        world.run_for(meanwhile);
        world.restart_server();
        world.run_for(SOON);
        assert!(
            world.talks(0) && world.talks(1),
            "seed {seed}: {:?} {:?}",
            world.snapshot(0),
            world.snapshot(1)
        );
    }
}

#[test]
fn a_path_that_is_lost_is_looked_for_and_found() {
    let mut world = talking(1);
    world.set_network(false);
    world.run_for(Duration::from_secs(6));
    let status = |world: &World, device| world.snapshot(device).current.unwrap().legs[0].status;
    assert_eq!((status(&world, 0), status(&world, 1)), (LegStatus::Reconnecting, LegStatus::Reconnecting));
    assert!(world.restarts(0) >= 1, "the side that offers begins");
    world.set_network(true);
    world.run_for(SOON);
    assert!(world.talks(0) && world.talks(1));
}

#[test]
fn a_path_that_does_not_come_back_ends_the_call_for_both() {
    let mut world = talking(1);
    world.set_network(false);
    world.run_for(MINUTE);
    assert_quiet(&world, 2);
    // One notices first, and the server tells the other.
    let both = [outcomes(&world, 0), outcomes(&world, 1)];
    assert!(both.contains(&vec![Outcome::ConnectionLost]), "{both:?}");
    assert!(both.iter().flatten().all(|end| matches!(end, Outcome::ConnectionLost | Outcome::HungUpThere)));
}

#[test]
fn a_peer_that_was_killed_is_seen_to_be_gone_and_given_up_soon() {
    let mut world = talking(1);
    world.kill(1);
    world.run_for(Duration::from_secs(6));
    assert_eq!(world.snapshot(0).current.unwrap().legs[0].status, LegStatus::Reconnecting);
    world.run_for(Duration::from_secs(11));
    assert_eq!(outcomes(&world, 0), [Outcome::ConnectionLost]);
}

#[test]
fn no_path_at_all_is_said_after_half_a_minute() {
    let mut world = World::new(1, &[1, 1]);
    world.network = false;
    world.call(0, 1);
    world.run_for(SOON);
    world.answer(1);
    world.run_for(Duration::from_secs(40));
    assert_quiet(&world, 2);
    let both = [outcomes(&world, 0), outcomes(&world, 1)];
    assert!(both.contains(&vec![Outcome::NoConnection]), "{both:?}");
}

#[test]
fn taking_a_second_call_ends_the_first() {
    let mut world = World::new(1, &[1, 1, 1]);
    // Both ring while nobody has taken either.
    world.call(0, 1);
    world.call(2, 1);
    world.run_for(SOON);
    assert_eq!(world.snapshot(1).incoming.len(), 2);
    world.answer(1);
    world.run_for(SOON);
    world.answer(1);
    world.run_for(SOON);
    let talking = [0, 2].map(|device| world.talks(device));
    assert_eq!(talking.iter().filter(|talks| **talks).count(), 1);
    assert!(world.talks(1));
    assert_eq!(outcomes(&world, 1), [Outcome::HungUpHere]);
}

#[test]
fn hold_and_mute_are_seen_at_the_other_side() {
    let mut world = talking(1);
    world.command(0, Command::Hold(true)).unwrap();
    let media = ahoy_call::MediaState { microphone: false, camera: true, paused: true };
    world.command(0, Command::SetMedia(media)).unwrap();
    world.run_for(SOON);
    let leg = |world: &World| world.snapshot(1).current.unwrap().legs[0].clone();
    assert!(leg(&world).held);
    assert_eq!(leg(&world).media, Some(media));
    world.command(0, Command::Hold(false)).unwrap();
    world.run_for(SOON);
    assert!(!leg(&world).held);
}

#[test]
fn whoever_sends_pictures_hears_how_they_are_shown_where_it_is_news() {
    let mut world = World::new(1, &[1, 1]);
    let peer = PeerId::User(world.user(1).user);
    let small = Some(View { width: 640, height: 368 });
    let show = |world: &mut World, view| {
        world.command(0, Command::SetView { peer, view }).unwrap();
        world.run_for(SOON);
    };
    show(&mut world, small);
    world.call(0, 1);
    world.run_for(SOON);
    show(&mut world, small);
    world.answer(1);
    world.run_for(SOON);
    assert_eq!(world.take_views(1), [small], "there was nobody to hear it before");
    for view in [small, None, None, small] {
        show(&mut world, view);
    }
    assert_eq!(world.take_views(1), [None, small]);
    world.set_network(false);
    world.run_for(SOON);
    show(&mut world, None);
    world.set_network(true);
    world.run_for(SOON);
    assert_eq!(world.take_views(1), [None], "it is said with the connection that comes back");
    assert_eq!(world.take_views(0), []);
}

#[test]
fn whatever_people_and_servers_do_nothing_is_left_over() {
    for seed in 0..2_000 {
        let mut world = World::new(seed, &[2, 1, 2]);
        let devices = 5;
        for _ in 0..world.random.random_range(1..40) {
            let device = world.random.random_range(0..devices);
            let snapshot = world.snapshot(device);
            let ringing = snapshot.incoming.first().map(|incoming| incoming.call);
            // A command that comes too late is refused, and changes nothing.
            match (world.random.random_range(0..10), ringing) {
                (0..4, None) if snapshot.current.is_none() => {
                    let other = (device + world.random.random_range(1..devices)) % devices;
                    if world.user(other) != world.user(device) {
                        world.call(device, other);
                    }
                }
                (0..5, Some(call)) => {
                    world.command(device, Command::Accept { call, media: CallMedia::Audio }).unwrap();
                }
                (5, Some(call)) => world.command(device, Command::Decline { call }).unwrap(),
                (6 | 7, _) => drop(world.command(device, Command::HangUp)),
                (8, _) if world.random.random_range(0..4) == 0 => world.restart_server(),
                (9, _) => drop(world.command(device, Command::Hold(true))),
                _ => {}
            }
            let meanwhile = Duration::from_millis(world.random.random_range(0..1_500));
            world.run_for(meanwhile);
        }
        for device in 0..devices {
            let _ = world.command(device, Command::HangUp);
        }
        world.run_for(2 * MINUTE);
        assert_quiet(&world, devices);
        for device in 0..devices {
            let calls: std::collections::BTreeSet<_> =
                world.over(device).iter().map(|record| record.call).collect();
            assert_eq!(
                calls.len(),
                world.over(device).len(),
                "seed {seed}: a call ended twice at {device}: {:#?}",
                world.over(device)
            );
        }
    }
}

#[test]
fn a_device_whose_session_begins_while_it_rings_rings_as_well() {
    let now = Instant::now();
    let peer = CallPeer {
        user: UserId::from_bits(2),
        handle: Handle::new("grace").unwrap(),
        name: Name::new("Grace").unwrap(),
    };
    let call = CallId::from_bits(7);
    let rings = CallSummary { call, peer, media: CallMedia::Video, stage: CallStage::Incoming };
    let mut machine = CallMachine::default();
    machine.handle(Input::SessionBegan { calls: vec![rings] }, now);
    assert_eq!(machine.take_outputs(), [Output::Rings(call)]);
    assert_eq!(machine.snapshot(now).incoming.len(), 1);
    // Nobody says that it is over: then time does.
    let end = machine.deadline().unwrap();
    machine.handle(Input::Tick, end);
    assert!(
        matches!(&machine.take_outputs()[..], [Output::Over(record)] if record.outcome == Outcome::Missed)
    );
}
