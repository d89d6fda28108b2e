//! A device that can be switched on, off and to another during a call, without anyone waiting for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// Happenings of a device that wait to be looked at, which is ten times a second; a device has a handful in a whole call.
const EVENTS: usize = 64;

/// Opens a device. Runs on a thread that may wait; the device closes when it is dropped, on such a thread too.
pub(crate) type Opener<S, D, E, X> = Arc<dyn Fn(&S, SyncSender<E>) -> Result<D, X> + Send + Sync>;

/// How a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not wanted, and closed.
    Off,
    /// Wanted, and on its way.
    Opening,
    /// Not wanted, and on its way.
    Closing,
    /// In use.
    On,
    /// Wanted, and not to be had.
    Failed,
}

/// What became of a device since the last look.
#[derive(Debug, PartialEq)]
pub(crate) enum News<E, X> {
    /// It is open.
    Opened,
    /// It can't be opened.
    Failed(X),
    /// It says so itself.
    Event(E),
}

enum State<S, D, E, X> {
    Closed,
    Opening { spec: S, task: JoinHandle<Result<D, X>>, events: Receiver<E> },
    Open { spec: S, device: D, events: Receiver<E> },
    Failed { spec: S },
    Closing(JoinHandle<()>),
}

/// A device, open or not. `S` says which, `D` is it while it is open, `E` is what it reports, `X` why it can't be opened.
///
/// It goes from what it is to what is wanted step by step, at each [`look`](Self::look): one open device at a time, however
/// often and fast somebody changes their mind.
pub(crate) struct Switched<S, D, E, X> {
    opener: Opener<S, D, E, X>,
    wanted: Option<S>,
    state: State<S, D, E, X>,
    /// Something has changed since the attempt under way began: should it fail, there is another one.
    once_more: bool,
}

impl<S, D, E, X> Switched<S, D, E, X>
where
    S: Clone + PartialEq + Send + 'static,
    D: Send + 'static,
    E: Send + 'static,
    X: Send + 'static,
{
    /// A device that is off.
    pub(crate) fn new(opener: Opener<S, D, E, X>) -> Self {
        Self { opener, wanted: None, state: State::Closed, once_more: false }
    }

    /// Says which device is wanted, or none. Must be called on a tokio runtime, as [`look`](Self::look).
    pub(crate) fn want(&mut self, wanted: Option<S>) {
        self.wanted = wanted;
        if matches!(&self.state, State::Failed { .. }) {
            // Asked for again, even the same device may be had by now.
            self.state = State::Closed;
        }
        self.step();
    }

    /// Which device is wanted.
    pub(crate) fn wanted(&self) -> Option<&S> {
        self.wanted.as_ref()
    }

    /// Tries again to open a device that could not be opened, because it may be had by now.
    pub(crate) fn retry(&mut self) {
        match &self.state {
            State::Failed { .. } => self.state = State::Closed,
            State::Opening { .. } => self.once_more = true,
            State::Closed | State::Open { .. } | State::Closing(_) => {}
        }
        self.step();
    }

    /// Closes a device that is open, and opens what is wanted.
    pub(crate) fn reopen(&mut self) {
        if let State::Open { .. } = &self.state {
            self.shut();
        }
        self.retry();
    }

    /// How the device is.
    pub(crate) fn standing(&self) -> Standing {
        match (&self.state, &self.wanted) {
            (State::Closed, None) => Standing::Off,
            (State::Failed { .. }, Some(_)) => Standing::Failed,
            (State::Open { spec, .. }, Some(wanted)) if spec == wanted => Standing::On,
            (State::Closed | State::Opening { .. } | State::Open { .. } | State::Closing(_), Some(_)) => {
                Standing::Opening
            }
            (State::Failed { .. } | State::Opening { .. } | State::Open { .. } | State::Closing(_), None) => {
                Standing::Closing
            }
        }
    }

    /// The device, while it is open.
    pub(crate) fn device(&self) -> Option<&D> {
        match &self.state {
            State::Open { device, .. } => Some(device),
            State::Closed | State::Opening { .. } | State::Failed { .. } | State::Closing(_) => None,
        }
    }

    /// Goes on towards what is wanted and tells what happened since the last time.
    pub(crate) async fn look(&mut self) -> Vec<News<E, X>> {
        let mut news = Vec::new();
        self.finish_task(&mut news).await;
        if let State::Open { events, .. } = &self.state {
            news.extend(events.try_iter().map(News::Event));
        }
        self.step();
        news
    }

    /// Closes the device and waits until it is closed. What it says last is told.
    pub(crate) async fn close(&mut self) -> Vec<News<E, X>> {
        self.wanted = None;
        let mut news = Vec::new();
        loop {
            match std::mem::replace(&mut self.state, State::Closed) {
                State::Closed | State::Failed { .. } => return news,
                State::Opening { spec, task, events } => {
                    let opened = task.await;
                    self.take_opened(spec, opened, events, &mut news);
                }
                State::Open { device, events, .. } => {
                    if spawn_blocking(move || drop(device)).await.is_err() {
                        tracing::error!("closing a device panicked");
                    }
                    news.extend(events.try_iter().map(News::Event));
                }
                State::Closing(task) => drop(task.await),
            }
        }
    }

    /// Takes up what a thread has finished.
    async fn finish_task(&mut self, news: &mut Vec<News<E, X>>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Opening { spec, task, events } if task.is_finished() => {
                let opened = task.await;
                self.take_opened(spec, opened, events, news);
            }
            State::Closing(task) if task.is_finished() => {}
            other => self.state = other,
        }
    }

    fn take_opened(
        &mut self,
        spec: S,
        opened: Result<Result<D, X>, JoinError>,
        events: Receiver<E>,
        news: &mut Vec<News<E, X>>,
    ) {
        let once_more = std::mem::take(&mut self.once_more);
        match opened {
            Ok(Ok(device)) => {
                self.state = State::Open { spec, device, events };
                news.push(News::Opened);
            }
            Ok(Err(_)) if once_more => {}
            Ok(Err(reason)) => {
                self.state = State::Failed { spec };
                news.push(News::Failed(reason));
            }
            Err(_) => tracing::error!("opening a device panicked"),
        }
    }

    /// Begins to close the device if it is open.
    fn shut(&mut self) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open { device, .. } => {
                self.state = State::Closing(spawn_blocking(move || drop(device)));
            }
            other => self.state = other,
        }
    }

    /// Starts the next step towards what is wanted, if there is one and none is under way.
    fn step(&mut self) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open { spec, device, events } if self.wanted.as_ref() != Some(&spec) => {
                self.state = State::Open { spec, device, events };
                self.shut();
            }
            State::Failed { spec } if self.wanted.as_ref() == Some(&spec) => {
                self.state = State::Failed { spec }
            }
            State::Closed | State::Failed { .. } => {
                if let Some(spec) = self.wanted.clone() {
                    let (events_tx, events) = sync_channel(EVENTS);
                    let (opener, which) = (Arc::clone(&self.opener), spec.clone());
                    let task = spawn_blocking(move || opener(&which, events_tx));
                    self.state = State::Opening { spec, task, events };
                }
            }
            under_way => self.state = under_way,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Counts the open devices.
    struct Fake(Arc<AtomicUsize>);

    impl Drop for Fake {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    type Device = Switched<u32, Fake, String, &'static str>;

    struct Test {
        device: Device,
        open: Arc<AtomicUsize>,
        opened: Arc<Mutex<Vec<u32>>>,
        told: Vec<News<String, &'static str>>,
    }

    impl Test {
        /// Device 13 can't be opened, the others say so when they are.
        fn new() -> Self {
            let (open, opened) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
            let (count, list) = (Arc::clone(&open), Arc::clone(&opened));
            let opener = move |which: &u32, events: SyncSender<String>| {
                list.lock().unwrap().push(*which);
                if *which == 13 {
                    return Err("busy");
                }
                assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "one device at a time");
                events.try_send(format!("{which} runs")).unwrap();
                Ok(Fake(Arc::clone(&count)))
            };
            Self { device: Switched::new(Arc::new(opener)), open, opened, told: Vec::new() }
        }

        async fn look_until(&mut self, standing: Standing) {
            let reached = async {
                while self.device.standing() != standing {
                    self.told.extend(self.device.look().await);
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), reached).await.expect("it gets there");
            self.told.extend(self.device.look().await);
        }
    }

    #[tokio::test]
    async fn a_device_opens_and_closes_as_wanted_and_tells_what_it_has_to_say() {
        let mut test = Test::new();
        assert_eq!(test.device.standing(), Standing::Off);
        test.device.want(Some(1));
        assert_eq!(test.device.standing(), Standing::Opening);
        test.look_until(Standing::On).await;
        assert_eq!(test.told, [News::Opened, News::Event("1 runs".into())]);
        assert!(test.device.device().is_some());
        test.device.want(None);
        assert_eq!(test.device.standing(), Standing::Closing);
        test.look_until(Standing::Off).await;
        assert_eq!(test.open.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn another_device_opens_after_the_one_before_has_closed() {
        let mut test = Test::new();
        test.device.want(Some(1));
        test.look_until(Standing::On).await;
        for which in 2..6 {
            test.device.want(Some(which));
        }
        test.look_until(Standing::On).await;
        assert_eq!(*test.opened.lock().unwrap(), [1, 5], "those that nobody waited for are skipped");
    }

    #[tokio::test]
    async fn a_device_that_fails_is_tried_again_when_it_is_asked_for_again() {
        let mut test = Test::new();
        test.device.want(Some(13));
        test.look_until(Standing::Failed).await;
        assert_eq!(test.told, [News::Failed("busy")]);
        test.device.look().await;
        assert_eq!(test.opened.lock().unwrap().len(), 1, "not by itself");
        test.device.want(Some(13));
        test.look_until(Standing::Failed).await;
        assert_eq!(test.opened.lock().unwrap().len(), 2);
        test.device.want(Some(2));
        test.look_until(Standing::On).await;
    }

    #[tokio::test]
    async fn a_device_that_appears_while_an_attempt_fails_is_tried_once_more() {
        let mut test = Test::new();
        test.device.want(Some(13));
        test.device.retry();
        test.look_until(Standing::Failed).await;
        assert_eq!(test.told, [News::Failed("busy")], "the first failure is out of date");
        assert_eq!(test.opened.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_device_that_stands_in_is_closed_before_the_one_wanted_is_opened_again() {
        let mut test = Test::new();
        test.device.want(Some(1));
        test.look_until(Standing::On).await;
        test.device.retry();
        assert_eq!(test.device.standing(), Standing::On, "there is nothing to try again");
        test.device.reopen();
        test.look_until(Standing::On).await;
        assert_eq!(*test.opened.lock().unwrap(), [1, 1]);
    }

    #[tokio::test]
    async fn closing_waits_for_a_device_that_is_just_being_opened() {
        let mut test = Test::new();
        test.device.want(Some(1));
        let told = test.device.close().await;
        assert_eq!(told, [News::Opened, News::Event("1 runs".into())]);
        assert_eq!((test.device.standing(), test.open.load(Ordering::SeqCst)), (Standing::Off, 0));
    }
}
