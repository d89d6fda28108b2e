//! Two programs that are killed again and again while a file goes from one to the other. Each of them is this test once more, told by
//! its environment which end it is; the test itself carries what they say, counts it, and kills them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs};

use ahoy_files::{Disk, scan};
use ahoy_transfer::{
    CHUNK, Chunk, Command as Wish, GivenRecord, Input, Link, Moment, Outcome, Output, TransferId,
    TransferState, WINDOW,
};
use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

const ID: TransferId = TransferId::from_bytes([9; 16]);
/// What an end is told by: where the test listens, which end it is, what is given and where it goes, and what is remembered.
const PORT: &str = "AHOY_TEST_PORT";
const ROLE: &str = "AHOY_TEST_ROLE";
const GOODS: &str = "AHOY_TEST_GOODS";
const MEMORY: &str = "AHOY_TEST_MEMORY";
const GIVES: u8 = b'g';
const TAKES: u8 = b't';
/// Kinds of frames.
const SAID: u8 = 0;
const CHUNK_FRAME: u8 = 1;

/// A kind, a length and so many bytes.
fn read_frame(from: &mut impl Read) -> Option<(u8, Bytes)> {
    let mut head = [0; 5];
    from.read_exact(&mut head).ok()?;
    let mut payload = vec![0; u32::from_le_bytes(head[1..].try_into().unwrap()) as usize];
    from.read_exact(&mut payload).ok()?;
    Some((head[0], payload.into()))
}

fn write_frame(to: &mut impl Write, kind: u8, payload: &[u8]) -> std::io::Result<()> {
    to.write_all(&[kind])?;
    to.write_all(&(payload.len() as u32).to_le_bytes())?;
    to.write_all(payload)?;
    to.flush()
}

enum Event {
    Frame(u8, Bytes),
    Gone,
    Disk(Outcome),
}

/// Since it was asked first.
fn now() -> Moment {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGAN.elapsed()
}

/// An end of a transfer, until the transfer is over.
fn run_end(port: u16, role: u8, goods: &Path, memory: &Path) {
    let (events, happens) = mpsc::channel();
    let from_disk = events.clone();
    let (disk, restored) = Disk::open(memory, move |outcome| {
        // It is over.
        let _ = from_disk.send(Event::Disk(outcome));
    })
    .unwrap();
    let given = restored.given.iter().map(|given| GivenRecord {
        id: given.id,
        manifest: given.sources.manifest().clone(),
        ends: given.ends.clone(),
    });
    let mut link = Link::new(given, restored.taken.into_iter().map(|taken| taken.record));
    if role == GIVES && restored.given.is_empty() {
        let sources = scan(&[goods.to_owned()], |_| true).unwrap().sources;
        let manifest = sources.manifest().clone();
        disk.give(ID, "somebody".to_owned(), sources);
        link.handle(Input::Command(Wish::Give { id: ID, manifest }), now()).unwrap();
    }
    loop {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        (&stream).write_all(&[role]).unwrap();
        let (mut from, told) = (BufReader::new(stream.try_clone().unwrap()), events.clone());
        thread::spawn(move || {
            while let Some((kind, payload)) = read_frame(&mut from) {
                let _ = told.send(Event::Frame(kind, payload));
            }
            let _ = told.send(Event::Gone);
        });
        link.handle(Input::Connected, now()).unwrap();
        if talk(&mut link, &disk, stream, &happens, role, goods) {
            return;
        }
        link.handle(Input::Lost, now()).unwrap();
    }
}

/// Whether the transfer is over; else the connection is.
fn talk(
    link: &mut Link,
    disk: &Disk,
    stream: TcpStream,
    happens: &Receiver<Event>,
    role: u8,
    goods: &Path,
) -> bool {
    let mut to = BufWriter::new(stream);
    loop {
        link.handle(Input::Room(WINDOW), now()).unwrap();
        while let Some(output) = link.poll(now()) {
            // What can't be written is noticed where nothing comes any more.
            match output {
                Output::Say(said) => _ = write_frame(&mut to, SAID, said.write().as_bytes()),
                Output::Send(chunk) => _ = write_frame(&mut to, CHUNK_FRAME, &chunk.write()),
                Output::Disk(job) => disk.work(job),
                Output::Offered(id) => {
                    disk.take(id, "somebody".to_owned(), goods.to_owned());
                    link.handle(Input::Command(Wish::Accept { id, files: None }), now()).unwrap();
                }
                Output::Changed(_) | Output::Forgotten(_) => {}
            }
        }
        let mut all: Vec<_> = if role == GIVES { link.given().collect() } else { link.taken().collect() };
        let is_known =
            role == GIVES || all.pop().is_some_and(|(_, known)| known.state == TransferState::Ended);
        if is_known && all.iter().all(|(_, known)| known.state == TransferState::Ended) {
            return true;
        }
        let patience = link.next_timeout().map_or(Duration::from_secs(60), |at| at.saturating_sub(now()));
        match happens.recv_timeout(patience) {
            Ok(Event::Frame(SAID, said)) => link.handle(Input::Said(said), now()).unwrap(),
            Ok(Event::Frame(_, chunk)) => link.handle(Input::Chunk(chunk), now()).unwrap(),
            Ok(Event::Disk(outcome)) => link.handle(Input::Disk(outcome), now()).unwrap(),
            Ok(Event::Gone) => return false,
            Err(_) => {}
        }
    }
}

/// Not a test by itself: an end, where the environment says so.
#[test]
fn an_end_of_a_transfer() {
    let Ok(port) = env::var(PORT) else { return };
    let path = |name: &str| PathBuf::from(env::var_os(name).unwrap());
    let role = env::var(ROLE).unwrap().as_bytes()[0];
    run_end(port.parse().unwrap(), role, &path(GOODS), &path(MEMORY));
}

fn start(port: u16, role: u8, goods: &Path, memory: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "an_end_of_a_transfer", "--nocapture"])
        .env(PORT, port.to_string())
        .env(ROLE, (role as char).to_string())
        .env(GOODS, goods)
        .env(MEMORY, memory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Carries frames from one end to the other. Each chunk waits until somebody has seen it.
fn carry(from: TcpStream, to: TcpStream, chunks: SyncSender<(u32, u64)>) -> JoinHandle<()> {
    thread::spawn(move || {
        let (mut read, mut write) = (BufReader::new(from), BufWriter::new(to));
        while let Some((kind, payload)) = read_frame(&mut read) {
            if kind == CHUNK_FRAME {
                let chunk = Chunk::read(payload.clone()).unwrap();
                if chunks.send((chunk.file, chunk.number)).is_err() {
                    break;
                }
            }
            if write_frame(&mut write, kind, &payload).is_err() {
                break;
            }
        }
        for end in [read.get_ref(), write.get_ref()] {
            let _ = end.shutdown(Shutdown::Both);
        }
    })
}

/// The connections of both ends, that of whoever gives first.
fn accept(listener: &TcpListener) -> [TcpStream; 2] {
    let (mut gives, mut takes) = (None, None);
    while gives.is_none() || takes.is_none() {
        let (mut stream, _) = listener.accept().unwrap();
        let mut role = [0];
        // One that was killed right away says nothing.
        if stream.read_exact(&mut role).is_ok() {
            *(if role[0] == GIVES { &mut gives } else { &mut takes }) = Some(stream);
        }
    }
    [gives.unwrap(), takes.unwrap()]
}

/// How often chunks were sent more than once, and how many there are.
fn transfer_with_kills(size: usize, kills: usize, seed: u64) -> (u64, u64) {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let [memory_there, memory_here, from, to] = [0; 4].map(|_| tempfile::tempdir().unwrap());
    let mut content = vec![0; size];
    rng.fill(&mut content[..]);
    let path = from.path().join("large.bin");
    fs::write(&path, &content).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let begin = |role: u8| match role {
        GIVES => start(port, GIVES, &path, memory_there.path()),
        _ => start(port, TAKES, to.path(), memory_here.path()),
    };
    let mut ends = [begin(GIVES), begin(TAKES)];
    let all = (size as u64).div_ceil(CHUNK);
    let (mut seen, mut sent) = (HashSet::new(), 0);
    for round in 0..=kills {
        let [gives, takes] = accept(&listener);
        let (chunks, sent_now) = mpsc::sync_channel(0);
        let there = carry(gives.try_clone().unwrap(), takes.try_clone().unwrap(), chunks.clone());
        let back = carry(takes.try_clone().unwrap(), gives.try_clone().unwrap(), chunks);
        // At some moment before all is there; after the last one it goes on undisturbed.
        let until = if round < kills { rng.random_range(0..all / kills as u64) as usize } else { usize::MAX };
        for chunk in sent_now.iter().take(until) {
            seen.insert(chunk);
            sent += 1;
        }
        if round < kills {
            let victim = rng.random_range(0..2);
            ends[victim].kill().unwrap();
            ends[victim].wait().unwrap();
            for stream in [&gives, &takes] {
                let _ = stream.shutdown(Shutdown::Both);
            }
            ends[victim] = begin([GIVES, TAKES][victim]);
        }
        drop(sent_now);
        there.join().unwrap();
        back.join().unwrap();
    }
    let [gave, took] = ends.map(|mut end| end.wait().unwrap());
    assert!(ExitStatus::success(&gave) && took.success(), "{gave} {took}");
    assert!(fs::read(to.path().join("large.bin")).unwrap() == content, "what arrived is something else");
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1, "nothing is left over");
    assert_eq!(seen.len() as u64, all);
    (sent - all, all)
}

#[test]
fn a_file_arrives_whole_however_often_either_end_is_killed_and_little_of_it_is_sent_twice() {
    const KILLS: usize = 12;
    let (twice, all) = transfer_with_kills(40_000_000, KILLS, 1);
    println!("{twice} of {all} chunks were sent once more, after {KILLS} kills");
    assert!(twice <= KILLS as u64 * WINDOW / CHUNK, "{twice}");
}

#[test]
fn long_a_gibibyte_arrives_whole_though_the_ends_are_killed_fifty_times() {
    const KILLS: usize = 50;
    let (twice, all) = transfer_with_kills(1 << 30, KILLS, 2);
    println!("{twice} of {all} chunks were sent once more, after {KILLS} kills");
    assert!(twice <= KILLS as u64 * WINDOW / CHUNK, "{twice}");
}
