//! Whatever happens in whatever order: what arrives is what was sent, or both sides know why not.

use std::time::Duration;

use ahoy_transfer::{CHUNK, Command, End, Input, Reason};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_pcg::Pcg64;

use crate::world::{ID, World};

fn contents(sizes: &[u64], seed: u64) -> Vec<Vec<u8>> {
    let mut rng = Pcg64::seed_from_u64(seed);
    sizes.iter().map(|size| (0..*size).map(|_| rng.random()).collect()).collect()
}

fn all_done(world: &World) {
    for past in world.gives.past.iter().chain(&world.takes.past) {
        assert!(past.ends.values().all(|end| *end == End::Done), "{past:?}");
        assert_eq!(past.progress.moved, past.progress.bytes);
    }
    assert!(world.store.finished == world.contents, "other bytes than were sent");
}

#[test]
fn a_folder_arrives_as_it_was_and_each_chunk_is_sent_once() {
    let sizes = [0, 1, CHUNK, 5 * CHUNK + 3, 100];
    let mut world = World::new(contents(&sizes, 1));
    world.settle();
    all_done(&world);
    assert_eq!(world.sent, 9);
}

#[test]
fn what_is_not_wanted_is_not_sent() {
    let mut world = World::new(contents(&[CHUNK, 2 * CHUNK, CHUNK], 2));
    world.connect();
    while !world.takes.offered {
        let said = world.said_by_giver.pop_front();
        if let Some(said) = said {
            world.take(Input::Said(said));
        }
        if let Some(said) = world.said_by_taker.pop_front() {
            world.give(Input::Said(said));
        }
    }
    world.takes.offered = false;
    world.take(Input::Command(Command::Accept { id: ID, files: Some([2].into_iter().collect()) }));
    world.settle();
    assert_eq!(world.store.finished.keys().collect::<Vec<_>>(), [&2]);
    assert_eq!(world.sent, 2);
    let ends = &world.gives.past.as_ref().unwrap().ends;
    assert_eq!([1, 2, 3].map(|file| ends[&file]), [End::Skipped, End::Done, End::Skipped]);
}

#[test]
fn a_declined_transfer_is_over_for_both() {
    let mut world = World::new(contents(&[CHUNK], 3));
    world.connect();
    while !world.takes.offered {
        if let Some(said) = world.said_by_giver.pop_front() {
            world.take(Input::Said(said));
        }
        if let Some(said) = world.said_by_taker.pop_front() {
            world.give(Input::Said(said));
        }
    }
    world.takes.offered = false;
    world.take(Input::Command(Command::Decline { id: ID }));
    world.settle();
    let ends = &world.gives.past.as_ref().unwrap().ends;
    assert_eq!(ends[&1], End::Failed(Reason::Declined));
    assert_eq!(world.sent, 0);
}

#[test]
fn a_file_that_has_become_shorter_fails_on_both_sides_and_the_others_arrive() {
    let mut world = World::new(contents(&[3 * CHUNK, CHUNK], 4));
    world.contents.get_mut(&1).unwrap().truncate(CHUNK as usize);
    world.settle();
    for past in [&world.gives.past, &world.takes.past] {
        let ends = &past.as_ref().unwrap().ends;
        assert_eq!([ends[&1], ends[&2]], [End::Failed(Reason::Changed), End::Done]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_what_arrives_is_what_was_sent(
        sizes in prop::collection::vec((0..4_u64, 0..3_u64).prop_map(|(chunks, more)| chunks * CHUNK + more), 1..6),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(contents(&sizes, seed));
        let mut rng = Pcg64::seed_from_u64(seed);
        for _ in 0..rng.random_range(0..400) {
            match rng.random_range(0..100) {
                0..20 => if let Some(said) = world.said_by_giver.pop_front() {
                    world.take(Input::Said(said));
                },
                20..40 => if let Some(said) = world.said_by_taker.pop_front() {
                    world.give(Input::Said(said));
                },
                40..55 => if !world.chunks.is_empty() {
                    let chunk = world.chunks.swap_remove(rng.random_range(0..world.chunks.len()));
                    world.take(Input::Chunk(chunk));
                },
                55..65 => world.giver_works(),
                65..75 => world.taker_works(),
                75..80 => if std::mem::take(&mut world.takes.offered) {
                    world.take(Input::Command(Command::Accept { id: ID, files: None }));
                },
                80..84 => world.pass(Duration::from_millis(rng.random_range(0..50))),
                84..88 => if !world.connected {
                    world.connect();
                },
                88 => if world.connected {
                    world.lose();
                },
                89 => world.restart_giver(),
                90 => world.restart_taker(),
                // A chunk comes twice, or damaged.
                91 => if let Some(chunk) = world.chunks.last().cloned() {
                    world.take(Input::Chunk(chunk));
                },
                92 => if let Some(chunk) = world.chunks.last_mut() {
                    let mut other = chunk.to_vec();
                    *other.last_mut().unwrap() ^= 1;
                    *chunk = other.into();
                },
                // What is on the disk is checked after a restart.
                93 => {
                    world.rot();
                    world.restart_taker();
                },
                94 => world.full = !world.full,
                95 => world.give(Input::Command(Command::Pause { id: ID, file: None })),
                96 => world.take(Input::Command(Command::Pause { id: ID, file: Some(1) })),
                97 => world.give(Input::Command(Command::Resume { id: ID, file: None })),
                _ => world.take(Input::Command(Command::Resume { id: ID, file: Some(1) })),
            }
        }
        world.settle();
        all_done(&world);
    }
}
