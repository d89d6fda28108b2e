//! One stream's pictures between the thread that has them and the connection that sends them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ahoy_media_types::MediaTime;
use tokio::sync::Notify;

use super::wire::{FromPage, MOST_CREDIT, Picture, PictureFormat};

/// Encoded pictures that wait for credit: a tenth of a second at 30 fps. When there are more the page has fallen behind,
/// and all are dropped: decoding them would only make it later.
const MOST_WAITING: usize = 3;

/// What a page says about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEvent {
    /// A page draws the stream from now on and wants this format. It can't draw encoded pictures before a key frame.
    Attached(PictureFormat),
    /// The page can't go on with encoded pictures without a key frame.
    KeyframeWanted,
    /// A picture has been drawn: the number that [`PictureSender::send`] gave it, and when the page said so. Each call has a
    /// timeline of its own, while the socket outlives them all.
    Shown(u32, Instant),
    /// No page draws the stream any more.
    Detached,
}

/// Is told what the page says, on the network's thread: must return at once.
pub type PageListener = Box<dyn Fn(PageEvent) + Send + Sync>;

/// The end of a stream that has the pictures. Dropping it ends the stream for the page.
#[derive(Debug)]
pub struct PictureSender {
    stream: Arc<Stream>,
}

impl PictureSender {
    pub(super) fn new(stream: Arc<Stream>) -> Self {
        Self { stream }
    }

    /// Sends a picture as soon as the page is ready for it, unless a newer one makes it pointless. Returns the number by
    /// which the page will report it.
    pub fn send(&self, picture: Picture, at: MediaTime) -> u32 {
        self.stream.offer(picture, at)
    }

    /// What the page that draws this stream wants; `None` while there is no page.
    pub fn wanted(&self) -> Option<PictureFormat> {
        self.stream.lock().page.as_ref().map(|page| page.format)
    }
}

impl Drop for PictureSender {
    fn drop(&mut self) {
        let mut state = self.stream.lock();
        state.ended = true;
        if let Some(page) = &state.page {
            page.changed.notify_one();
        }
    }
}

/// A stream, shared by its sender and the page's connection.
pub(super) struct Stream {
    state: Mutex<State>,
    listener: PageListener,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    page: Option<Page>,
    /// Connections so far: tells the present page from those before it.
    pages: u64,
    next_number: u32,
    ended: bool,
}

/// The page that draws the stream.
struct Page {
    /// Wakes the page's connection.
    changed: Arc<Notify>,
    format: PictureFormat,
    credit: u32,
    waiting: VecDeque<(u32, MediaTime, Picture)>,
    /// Whether nothing can be decoded before the next key frame.
    needs_keyframe: bool,
}

/// What the connection has to do next.
pub(super) enum Next {
    Send(u32, MediaTime, Picture),
    Wait,
    /// The stream has ended, or another page draws it now.
    End,
}

impl Stream {
    pub(super) fn new(listener: PageListener) -> Self {
        Self { state: Mutex::default(), listener }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offer(&self, picture: Picture, at: MediaTime) -> u32 {
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number = number.wrapping_add(1);
        let Some(page) = &mut state.page else { return number };
        let overrun = page.take((number, at, picture));
        page.changed.notify_one();
        drop(state);
        if overrun {
            (self.listener)(PageEvent::KeyframeWanted);
        }
        number
    }

    /// A page takes the stream over; returns what it is known by from now on, and what wakes its connection when
    /// [`next`](Self::next) may have another answer.
    pub(super) fn attach(&self, format: PictureFormat) -> (u64, Arc<Notify>) {
        let changed = Arc::new(Notify::new());
        let mut state = self.lock();
        state.pages += 1;
        let id = state.pages;
        let page = Page {
            changed: Arc::clone(&changed),
            format,
            credit: 0,
            waiting: VecDeque::with_capacity(MOST_WAITING),
            needs_keyframe: true,
        };
        if let Some(before) = state.page.replace(page) {
            before.changed.notify_one();
        }
        drop(state);
        (self.listener)(PageEvent::Attached(format));
        (id, changed)
    }

    /// The page is gone; nothing happens if another has taken over.
    pub(super) fn detach(&self, id: u64) {
        let mut state = self.lock();
        if state.pages == id {
            state.page = None;
            drop(state);
            (self.listener)(PageEvent::Detached);
        }
    }

    /// Takes what the page `id` said.
    pub(super) fn on_message(&self, id: u64, message: &FromPage, now: Instant) {
        let mut state = self.lock();
        let is_present = state.pages == id;
        let Some(page) = state.page.as_mut().filter(|_| is_present) else { return };
        let event = match *message {
            FromPage::Credit { pictures } => {
                page.credit = page.credit.saturating_add(pictures).min(MOST_CREDIT);
                None
            }
            FromPage::Shown { picture } => Some(PageEvent::Shown(picture, now)),
            FromPage::Keyframe => {
                page.start_over();
                Some(PageEvent::KeyframeWanted)
            }
            FromPage::Accepts { format } => {
                page.format = format;
                page.start_over();
                Some(PageEvent::Attached(format))
            }
        };
        drop(state);
        if let Some(event) = event {
            (self.listener)(event);
        }
    }

    /// What the connection of the page `id` has to do.
    pub(super) fn next(&self, id: u64) -> Next {
        let mut state = self.lock();
        if state.ended || state.pages != id {
            return Next::End;
        }
        match state.page.as_mut().and_then(Page::next) {
            Some((number, at, picture)) => Next::Send(number, at, picture),
            None => Next::Wait,
        }
    }
}

impl Page {
    /// Puts a picture where it waits for credit; whether pictures had to be dropped that others depend on.
    fn take(&mut self, picture: (u32, MediaTime, Picture)) -> bool {
        let (_, _, new) = &picture;
        match (new.format(), self.format) {
            // On its way before the page asked for plain ones.
            (PictureFormat::H264, PictureFormat::I420) => false,
            // Every page can draw these.
            (PictureFormat::I420, PictureFormat::H264 | PictureFormat::I420) => {
                self.waiting.clear();
                self.waiting.push_back(picture);
                false
            }
            (PictureFormat::H264, PictureFormat::H264) if new.stands_alone() => {
                self.waiting.clear();
                self.waiting.push_back(picture);
                self.needs_keyframe = false;
                false
            }
            (PictureFormat::H264, PictureFormat::H264) if self.needs_keyframe => false,
            (PictureFormat::H264, PictureFormat::H264) if self.waiting.len() == MOST_WAITING => {
                self.start_over();
                true
            }
            (PictureFormat::H264, PictureFormat::H264) => {
                self.waiting.push_back(picture);
                false
            }
        }
    }

    fn start_over(&mut self) {
        self.waiting.clear();
        self.needs_keyframe = true;
    }

    fn next(&mut self) -> Option<(u32, MediaTime, Picture)> {
        if self.credit == 0 {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.credit -= 1;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use ahoy_media_types::{ColorMatrix, FrameSize, I420Buffer};
    use bytes::Bytes;

    use super::*;

    struct Test {
        stream: Arc<Stream>,
        sender: PictureSender,
        events: Arc<Mutex<Vec<PageEvent>>>,
        page: u64,
    }

    impl Test {
        fn new(format: PictureFormat, credit: u32) -> Self {
            let events = Arc::new(Mutex::new(Vec::new()));
            let heard = Arc::clone(&events);
            let stream = Arc::new(Stream::new(Box::new(move |event| heard.lock().unwrap().push(event))));
            let (page, _) = stream.attach(format);
            stream.on_message(page, &FromPage::Credit { pictures: credit }, Instant::now());
            events.lock().unwrap().clear();
            Self { sender: PictureSender::new(Arc::clone(&stream)), stream, events, page }
        }

        fn encoded(&self, keyframe: bool) -> u32 {
            let color = ColorMatrix::default();
            self.sender.send(Picture::Encoded { data: Bytes::new(), keyframe, color }, MediaTime::ZERO)
        }

        fn plain(&self) -> u32 {
            let buffer = Arc::new(I420Buffer::black(FrameSize::new(64, 64).unwrap()));
            self.sender.send(Picture::Plain { buffer, color: ColorMatrix::default() }, MediaTime::ZERO)
        }

        fn credit(&self, pictures: u32) {
            self.stream.on_message(self.page, &FromPage::Credit { pictures }, Instant::now());
        }

        /// Numbers of the pictures that go out now.
        fn sent(&self) -> Vec<u32> {
            std::iter::from_fn(|| match self.stream.next(self.page) {
                Next::Send(number, ..) => Some(number),
                Next::Wait | Next::End => None,
            })
            .collect()
        }

        fn events(&self) -> Vec<PageEvent> {
            std::mem::take(&mut self.events.lock().unwrap())
        }
    }

    #[test]
    fn pictures_go_out_in_order_while_there_is_credit() {
        let test = Test::new(PictureFormat::H264, 3);
        let sent: Vec<_> = [true, false, false].map(|key| test.encoded(key)).into();
        assert_eq!(test.sent(), sent);
        let waiting = test.encoded(false);
        assert!(test.sent().is_empty());
        test.credit(1);
        assert_eq!(test.sent(), [waiting]);
        assert_eq!(test.events(), []);
    }

    #[test]
    fn nothing_goes_out_before_the_first_key_frame() {
        let test = Test::new(PictureFormat::H264, 3);
        test.encoded(false);
        assert!(test.sent().is_empty());
        let key = test.encoded(true);
        assert_eq!(test.sent(), [key]);
    }

    #[test]
    fn a_page_that_falls_behind_goes_on_with_a_key_frame() {
        let test = Test::new(PictureFormat::H264, 1);
        test.encoded(true);
        assert_eq!(test.sent().len(), 1);
        for _ in 0..MOST_WAITING {
            test.encoded(false);
        }
        assert_eq!(test.events(), []);
        test.encoded(false);
        assert_eq!(test.events(), [PageEvent::KeyframeWanted]);
        test.encoded(false);
        test.credit(4);
        assert_eq!((test.sent(), test.events()), (vec![], vec![]), "once is enough");
        let key = test.encoded(true);
        assert_eq!(test.sent(), [key]);
    }

    #[test]
    fn a_key_frame_makes_what_waits_before_it_pointless() {
        let test = Test::new(PictureFormat::H264, 1);
        test.encoded(true);
        assert_eq!(test.sent().len(), 1);
        test.encoded(false);
        let key = test.encoded(true);
        test.credit(3);
        assert_eq!(test.sent(), [key]);
    }

    #[test]
    fn of_plain_pictures_only_the_newest_waits() {
        let test = Test::new(PictureFormat::I420, 0);
        test.plain();
        let newest = test.plain();
        test.credit(2);
        assert_eq!(test.sent(), [newest]);
    }

    #[test]
    fn credit_has_a_limit() {
        let test = Test::new(PictureFormat::H264, u32::MAX);
        test.credit(u32::MAX);
        let sent: usize = (0..20).map(|_| (test.encoded(true), test.sent().len()).1).sum();
        assert_eq!(sent, MOST_CREDIT as usize);
    }

    #[test]
    fn the_page_says_what_it_has_drawn_and_what_it_wants() {
        let test = Test::new(PictureFormat::H264, 3);
        let at = Instant::now();
        test.stream.on_message(test.page, &FromPage::Shown { picture: 9 }, at);
        test.stream.on_message(test.page, &FromPage::Keyframe, at);
        test.stream.on_message(test.page, &FromPage::Accepts { format: PictureFormat::I420 }, at);
        let heard =
            [PageEvent::Shown(9, at), PageEvent::KeyframeWanted, PageEvent::Attached(PictureFormat::I420)];
        assert_eq!(test.events(), heard);
        assert_eq!(test.sender.wanted(), Some(PictureFormat::I420));
        test.encoded(true);
        assert!(test.sent().is_empty(), "of the format before");
        let plain = test.plain();
        assert_eq!(test.sent(), [plain]);
    }

    #[test]
    fn a_page_that_takes_over_ends_the_one_before() {
        let test = Test::new(PictureFormat::H264, 3);
        let (next, _) = test.stream.attach(PictureFormat::I420);
        assert!(matches!(test.stream.next(test.page), Next::End));
        test.stream.detach(test.page);
        assert_eq!(test.events(), [PageEvent::Attached(PictureFormat::I420)]);
        test.stream.detach(next);
        assert_eq!(test.events(), [PageEvent::Detached]);
        assert_eq!(test.sender.wanted(), None);
    }

    #[test]
    fn a_stream_ends_with_its_sender() {
        let Test { stream, sender, page, .. } = Test::new(PictureFormat::H264, 3);
        drop(sender);
        assert!(matches!(stream.next(page), Next::End));
    }
}
