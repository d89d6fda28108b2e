//! One stream's pictures between the thread that has them and the connection that sends them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ahoy_media_types::MediaTime;
use tokio::sync::Notify;

use super::wire::{Area, FromPage, MOST_CREDIT, Picture, PictureFormat};

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
    /// The page draws pictures in this size from now on.
    Size(Area),
    /// No page draws the stream any more.
    Detached,
}

/// Is told what the page says, on the network's thread: must return at once.
pub type PageListener = Box<dyn Fn(PageEvent) + Send + Sync>;

/// The end of a stream that has the pictures. Dropping it ends the stream for the page.
#[derive(Debug)]
pub struct PictureSender {
    stream: Arc<Stream>,
    /// Which source of the stream's this is: one that was replaced has nothing to say any more.
    source: u64,
}

impl PictureSender {
    /// Sends a picture as soon as the page is ready for it, unless a newer one makes it pointless. Returns the number by
    /// which the page will report it.
    pub fn send(&self, picture: Picture, at: MediaTime) -> u32 {
        self.stream.offer(self.source, picture, at)
    }

    /// What the page that draws this stream wants; `None` while there is no page.
    pub fn wanted(&self) -> Option<PictureFormat> {
        let state = self.stream.lock();
        state.source(self.source)?;
        state.page.as_ref().map(|page| page.format)
    }
}

impl Drop for PictureSender {
    fn drop(&mut self) {
        self.stream.end(self.source);
    }
}

/// Where a source of pictures and a page that draws them meet. It is always there, so that either may come first: pages
/// usually do, and then see the very first picture.
#[derive(Default)]
pub(super) struct Stream(Mutex<State>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    source: Option<(u64, Arc<PageListener>)>,
    /// Sources so far: tells the present one from those before it.
    sources: u64,
    page: Option<Page>,
    /// Connections so far, likewise.
    pages: u64,
    next_number: u32,
}

impl State {
    fn source(&self, id: u64) -> Option<&Arc<PageListener>> {
        self.source.as_ref().filter(|(present, _)| *present == id).map(|(_, listener)| listener)
    }

    fn listener(&self) -> Option<Arc<PageListener>> {
        self.source.as_ref().map(|(_, listener)| Arc::clone(listener))
    }
}

/// The page that draws the stream.
struct Page {
    /// Wakes the page's connection.
    changed: Arc<Notify>,
    format: PictureFormat,
    credit: u32,
    /// In which size it draws, once it has said so: a source that comes later is to know as well.
    area: Option<Area>,
    waiting: VecDeque<(u32, MediaTime, Picture)>,
    /// Whether nothing can be decoded before the next key frame.
    needs_keyframe: bool,
}

/// What the connection has to do next.
pub(super) enum Next {
    Send(u32, MediaTime, Picture),
    Wait,
    /// There will be no more pictures from this source.
    Ended,
    /// Another page draws it now.
    TakenOver,
}

impl Stream {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pictures come from here from now on. A page that waits for them gets them from the first one on.
    pub(super) fn open(self: &Arc<Self>, listener: PageListener) -> PictureSender {
        let listener = Arc::new(listener);
        let mut state = self.lock();
        state.sources += 1;
        let source = state.sources;
        state.source = Some((source, Arc::clone(&listener)));
        let attached = state.page.as_mut().map(|page| {
            page.start_over();
            (page.format, page.area)
        });
        drop(state);
        if let Some((format, area)) = attached {
            listener(PageEvent::Attached(format));
            area.into_iter().for_each(|area| listener(PageEvent::Size(area)));
        }
        PictureSender { stream: Arc::clone(self), source }
    }

    /// The source is gone; nothing happens if another has replaced it.
    fn end(&self, source: u64) {
        let mut state = self.lock();
        if state.source(source).is_none() {
            return;
        }
        state.source = None;
        // It learns by the end of its connection, and comes again to wait for the next source.
        if let Some(page) = state.page.take() {
            page.changed.notify_one();
        }
    }

    fn offer(&self, source: u64, picture: Picture, at: MediaTime) -> u32 {
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number = number.wrapping_add(1);
        let Some(listener) = state.source(source).map(Arc::clone) else { return number };
        let Some(page) = &mut state.page else { return number };
        let overrun = page.take((number, at, picture));
        page.changed.notify_one();
        drop(state);
        if overrun {
            listener(PageEvent::KeyframeWanted);
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
            area: None,
            waiting: VecDeque::with_capacity(MOST_WAITING),
            needs_keyframe: true,
        };
        if let Some(before) = state.page.replace(page) {
            before.changed.notify_one();
        }
        let listener = state.listener();
        drop(state);
        if let Some(listener) = listener {
            listener(PageEvent::Attached(format));
        }
        (id, changed)
    }

    /// The page is gone; nothing happens if another has taken over.
    pub(super) fn detach(&self, id: u64) {
        let mut state = self.lock();
        // One whose source had ended is nothing to the source that came after that.
        if state.pages != id || state.page.take().is_none() {
            return;
        }
        let listener = state.listener();
        drop(state);
        if let Some(listener) = listener {
            listener(PageEvent::Detached);
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
                return;
            }
            FromPage::Shown { picture } => PageEvent::Shown(picture, now),
            FromPage::Keyframe => {
                page.start_over();
                PageEvent::KeyframeWanted
            }
            FromPage::Accepts { format } => {
                page.format = format;
                page.start_over();
                PageEvent::Attached(format)
            }
            FromPage::Size(area) => {
                page.area = Some(area);
                PageEvent::Size(area)
            }
        };
        let listener = state.listener();
        drop(state);
        if let Some(listener) = listener {
            listener(event);
        }
    }

    /// What the connection of the page `id` has to do.
    pub(super) fn next(&self, id: u64) -> Next {
        let mut state = self.lock();
        if state.pages != id {
            return Next::TakenOver;
        }
        let Some(page) = &mut state.page else { return Next::Ended };
        match page.next() {
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
        events: Events,
        page: u64,
    }

    #[derive(Clone, Default)]
    struct Events(Arc<Mutex<Vec<PageEvent>>>);

    impl Events {
        fn listener(&self) -> PageListener {
            let heard = self.clone();
            Box::new(move |event| heard.0.lock().unwrap().push(event))
        }

        fn take(&self) -> Vec<PageEvent> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl Test {
        fn new(format: PictureFormat, credit: u32) -> Self {
            let (stream, events) = (Arc::new(Stream::default()), Events::default());
            let sender = stream.open(events.listener());
            let (page, _) = stream.attach(format);
            stream.on_message(page, &FromPage::Credit { pictures: credit }, Instant::now());
            events.take();
            Self { sender, stream, events, page }
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
                Next::Wait | Next::Ended | Next::TakenOver => None,
            })
            .collect()
        }

        fn events(&self) -> Vec<PageEvent> {
            self.events.take()
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
        assert!(matches!(test.stream.next(test.page), Next::TakenOver));
        test.stream.detach(test.page);
        assert_eq!(test.events(), [PageEvent::Attached(PictureFormat::I420)]);
        test.stream.detach(next);
        assert_eq!(test.events(), [PageEvent::Detached]);
        assert_eq!(test.sender.wanted(), None);
    }

    #[test]
    fn a_page_that_comes_first_sees_the_very_first_picture() {
        let (stream, events) = (Arc::new(Stream::default()), Events::default());
        let (page, _) = stream.attach(PictureFormat::H264);
        stream.on_message(page, &FromPage::Credit { pictures: 3 }, Instant::now());
        stream.on_message(page, &FromPage::Keyframe, Instant::now());
        assert!(matches!(stream.next(page), Next::Wait));
        let sender = stream.open(events.listener());
        assert_eq!(events.take(), [PageEvent::Attached(PictureFormat::H264)]);
        let test = Test { stream, sender, events, page };
        let first = test.encoded(true);
        assert_eq!(test.sent(), [first]);
    }

    #[test]
    fn the_page_says_in_which_size_it_draws_also_before_there_is_anything_to_draw() {
        let (stream, events) = (Arc::new(Stream::default()), Events::default());
        let (page, _) = stream.attach(PictureFormat::H264);
        let size = |width, height| {
            let area = Area { width, height };
            stream.on_message(page, &FromPage::Size(area), Instant::now());
            PageEvent::Size(area)
        };
        size(640, 368);
        let large = size(1_280, 720);
        let sender = stream.open(events.listener());
        assert_eq!(events.take(), [PageEvent::Attached(PictureFormat::H264), large]);
        let hidden = size(0, 0);
        assert_eq!(events.take(), [hidden]);
        stream.attach(PictureFormat::H264);
        size(320, 192);
        assert_eq!(events.take(), [PageEvent::Attached(PictureFormat::H264)], "another page draws now");
        drop(sender);
    }

    #[test]
    fn a_stream_ends_with_its_sender() {
        let Test { stream, sender, page, events } = Test::new(PictureFormat::H264, 3);
        drop(sender);
        assert!(matches!(stream.next(page), Next::Ended));
        let next = stream.open(events.listener());
        assert_eq!((events.take(), next.wanted()), (vec![], None));
        assert!(matches!(stream.next(page), Next::Ended), "the page is to know that it ended");
        stream.detach(page);
        assert_eq!(events.take(), []);
    }

    #[test]
    fn a_source_that_is_replaced_has_nothing_to_say_any_more() {
        let test = Test::new(PictureFormat::H264, 3);
        test.encoded(true);
        assert_eq!(test.sent().len(), 1);
        let events = Events::default();
        let sender = test.stream.open(events.listener());
        assert_eq!(events.take(), [PageEvent::Attached(PictureFormat::H264)]);
        test.encoded(true);
        assert!(test.sent().is_empty());
        assert_eq!(test.sender.wanted(), None);
        let Test { stream, sender: before, page, events: told } = test;
        drop(before);
        let test = Test { stream, sender, events, page };
        let delta = test.encoded(false);
        let key = test.encoded(true);
        assert!(delta < key);
        assert_eq!(test.sent(), [key], "its pictures need a key frame of their own");
        assert_eq!(told.take(), []);
    }
}
