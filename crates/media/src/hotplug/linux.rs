//! Linux: cameras and sound cards by the files that the kernel makes for them, PulseAudio's devices (or PipeWire's) by
//! the sound server's own events.
//!
//! One thread sleeps until the kernel or the server says something.

mod pulse;

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::{self, JoinHandle};

use inotify::{Inotify, WatchDescriptor, WatchMask};
use rustix::event::{PollFd, PollFlags, poll};

use pulse::Subscription;

/// Where the kernel makes the files of cameras: `/dev/video0` and so on.
const DEVICES: &str = "/dev";
/// Where it makes those of sound cards. The folder is there while there is a card.
const SOUND: &str = "/dev/snd";
/// Enough for a burst of events; more are read at the next look.
const EVENTS: usize = 4096;

/// Permissions come after the file: only with them a camera can be used.
fn changes() -> WatchMask {
    WatchMask::CREATE | WatchMask::DELETE | WatchMask::MOVED_TO | WatchMask::MOVED_FROM | WatchMask::ATTRIB
}

/// A running watch.
#[derive(Debug)]
pub(super) struct Watch {
    /// Closed in order to end the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(on_change: impl FnMut() + Send + 'static) -> Option<Self> {
        let started = Watcher::new().and_then(|(watcher, stop)| {
            let thread =
                thread::Builder::new().name("ahoy-hotplug".into()).spawn(move || watcher.run(on_change))?;
            Ok(Self { stop: Some(stop), thread: Some(thread) })
        });
        started.inspect_err(|error| tracing::warn!(%error, "devices that come and go are not noticed")).ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that watches for devices had panicked");
        }
    }
}

/// What the thread holds.
struct Watcher {
    /// Readable when the thread is to end.
    stopped: UnixStream,
    files: Inotify,
    devices: WatchDescriptor,
    sound: Option<WatchDescriptor>,
    /// The connection to the sound server while there is one.
    server: Option<Subscription>,
}

/// What has happened.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Devices have come or gone.
    change: bool,
    /// A sound server may be there now.
    server: bool,
}

impl Watcher {
    fn new() -> io::Result<(Self, UnixStream)> {
        let (stop, stopped) = UnixStream::pair()?;
        let files = Inotify::init()?;
        let devices = files.watches().add(DEVICES, changes())?;
        Ok((Self { stopped, files, devices, sound: None, server: None }, stop))
    }

    fn run(mut self, mut on_change: impl FnMut()) {
        self.watch_sound_cards();
        self.subscribe();
        loop {
            match self.wait() {
                Ok(Some(seen)) => {
                    // Whoever has just come brings its devices along.
                    let subscribed = seen.server && self.server.is_none() && self.subscribe();
                    if seen.change || subscribed {
                        on_change();
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "devices that come and go are no longer noticed");
                    return;
                }
            }
        }
    }

    /// Sleeps until something happens; `None` when the thread is to end.
    fn wait(&mut self) -> io::Result<Option<Seen>> {
        let mut watched = vec![
            PollFd::new(&self.stopped, PollFlags::IN),
            PollFd::from_borrowed_fd(self.files.as_fd(), PollFlags::IN),
        ];
        watched.extend(self.server.as_ref().map(|server| PollFd::new(server.socket(), PollFlags::IN)));
        match poll(&mut watched, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = watched.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready.first() == Some(&true) {
            return Ok(None);
        }
        let mut seen = Seen::default();
        if ready.get(1) == Some(&true) {
            seen = self.read_files()?;
        }
        if ready.get(2) == Some(&true) {
            seen.change |= self.read_server();
        }
        Ok(Some(seen))
    }

    fn read_files(&mut self) -> io::Result<Seen> {
        let mut buffer = [0; EVENTS];
        let mut seen = Seen::default();
        let mut card_folder = false;
        for event in self.files.read_events(&mut buffer)? {
            if event.wd == self.devices {
                card_folder |= event.name == Some(OsStr::new("snd"));
                seen.change |= event.name.is_some_and(is_camera);
            } else if Some(&event.wd) == self.sound.as_ref() {
                seen.change = true;
            } else {
                seen.server = true;
            }
        }
        if card_folder {
            self.watch_sound_cards();
            seen.change = true;
        }
        Ok(seen)
    }

    /// Whether the sound server's devices have changed. A server that is gone has none.
    fn read_server(&mut self) -> bool {
        match self.server.as_mut().map(Subscription::read) {
            Some(Ok(change)) => change,
            Some(Err(error)) => {
                tracing::info!(%error, "the sound server is gone");
                self.server = None;
                // It may be back already.
                self.subscribe();
                true
            }
            None => false,
        }
    }

    fn watch_sound_cards(&mut self) {
        // Without a card there is no folder.
        self.sound = self.files.watches().add(SOUND, changes()).ok();
    }

    /// Has the sound server tell of its devices; returns whether it will.
    fn subscribe(&mut self) -> bool {
        // First, so that a server that starts meanwhile is not missed.
        for folder in pulse::folders() {
            self.watch_for_server(&folder);
        }
        self.server = Subscription::new()
            .inspect_err(|error| tracing::debug!(%error, "no sound server tells of its devices"))
            .ok();
        self.server.is_some()
    }

    /// Watches the folder of the server's socket or, while there is none, the one that it will be made in.
    fn watch_for_server(&self, folder: &Path) {
        let made = WatchMask::CREATE | WatchMask::MOVED_TO;
        if self.files.watches().add(folder, made).is_err()
            && let Some(parent) = folder.parent()
        {
            // No such folder either: then nobody starts a server there.
            let _ = self.files.watches().add(parent, made);
        }
    }
}

fn is_camera(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("video"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_are_told_from_the_other_files_of_devices() {
        assert!(is_camera(OsStr::new("video0")) && is_camera(OsStr::new("video12")));
        assert!(!is_camera(OsStr::new("tty0")) && !is_camera(OsStr::new("snd")));
    }

    #[test]
    fn dropping_the_watch_ends_its_sleeping_thread() {
        // Would wait for ever otherwise.
        drop(Watch::start(|| {}).unwrap());
    }
}
