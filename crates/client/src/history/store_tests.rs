use std::os::unix::fs::PermissionsExt as _;

use ahoy_signal::{CallId, Handle, InboxItem, Name};
use tempfile::TempDir;

use super::*;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history").join("u.sqlite3");
    (folder, path)
}

fn grace() -> CallPeer {
    CallPeer {
        user: UserId::from_bits(2),
        handle: Handle::new("grace").expect("a handle"),
        name: Name::new("Grace").expect("a name"),
    }
}

fn id(number: u64) -> MessageId {
    MessageId::from_bits(number.into())
}

fn text(words: &str) -> ChatText {
    ChatText::new(words).expect("words")
}

/// What the server tells of a message: `number` is its place in the inbox, and its id.
fn message_entry(number: u64, sent: bool, words: &str) -> InboxEntry {
    let item = InboxItem::Message { message: id(number), with: grace(), sent, text: text(words) };
    InboxEntry { number, at_ms: 1_000 * number, item }
}

fn mark_entry(number: u64, message: u64, mark: MessageMark, sent: bool) -> InboxEntry {
    let item = InboxItem::Marked { with: grace().user, message: id(message), mark, sent };
    InboxEntry { number, at_ms: 1_000 * number, item }
}

fn words(store: &Store) -> Vec<(String, MessageState)> {
    let messages = store.messages(grace().user, None, 100).expect("messages");
    messages.into_iter().map(|message| (message.text, message.state)).collect()
}

#[test]
fn what_was_written_is_there_after_a_restart_for_nobody_else_to_read() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).expect("a store");
    assert_eq!(store.apply(&message_entry(1, false, "Ahoy")).expect("applied"), Applied::Done);
    store.write(&grace(), id(77), &text("Ahoy yourself"), 5_000).expect("kept");
    drop(store);
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    let store = Store::open(&path).expect("the same store");
    assert_eq!(
        words(&store),
        [("Ahoy".to_owned(), MessageState::Received), ("Ahoy yourself".to_owned(), MessageState::Sending)]
    );
    assert_eq!(store.last().expect("a number"), 1);
    assert_eq!(store.next_unsent().expect("read").map(|unsent| unsent.message), Some(id(77)));
}

#[test]
fn an_entry_is_taken_in_once_and_in_its_turn() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).expect("a store");
    assert_eq!(store.apply(&message_entry(2, false, "two")).expect("looked at"), Applied::Gap);
    assert!(words(&store).is_empty());
    let both = [message_entry(1, false, "one"), message_entry(2, false, "two")];
    store.catch_up(0, &both, 2).expect("caught up");
    store.catch_up(0, &both, 2).expect("asked twice");
    assert_eq!(store.apply(&both[1]).expect("told again"), Applied::Done);
    assert_eq!(words(&store).len(), 2);
    // The server has forgotten what lay between.
    store.catch_up(2, &[message_entry(9, false, "nine")], 9).expect("caught up");
    assert_eq!(store.last().expect("a number"), 9);
    assert_eq!(words(&store).len(), 3);
}

#[test]
fn a_server_that_was_set_back_is_followed_again() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).expect("a store");
    store.catch_up(0, &[message_entry(50, false, "later lost there")], 50).expect("caught up");
    store.catch_up(50, &[], 40).expect("caught up");
    assert_eq!(store.last().expect("a number"), 40);
    let item = InboxItem::Message { message: id(900), with: grace(), sent: false, text: text("new") };
    let applied = store.apply(&InboxEntry { number: 41, at_ms: 1, item }).expect("applied");
    assert_eq!(applied, Applied::Done);
    assert_eq!(words(&store).len(), 2);
}

#[test]
fn a_message_is_sent_delivered_read_and_never_goes_back() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).expect("a store");
    for number in [1, 2] {
        store.write(&grace(), id(number), &text("words"), 5).expect("kept");
        let entry = message_entry(number, true, "words");
        store.sent(id(number), &entry).expect("sent");
        store.apply(&entry).expect("applied");
    }
    assert_eq!(store.next_unsent().expect("read"), None);
    let states = |store: &Store| words(store).into_iter().map(|(_, state)| state).collect::<Vec<_>>();
    assert_eq!(states(&store), [MessageState::Sent; 2]);
    store.apply(&mark_entry(3, 2, MessageMark::Delivered, true)).expect("applied");
    assert_eq!(states(&store), [MessageState::Delivered; 2], "up to the second are both");
    store.apply(&mark_entry(4, 1, MessageMark::Read, true)).expect("applied");
    assert_eq!(states(&store), [MessageState::Read, MessageState::Delivered]);
    store.apply(&mark_entry(5, 2, MessageMark::Delivered, true)).expect("applied");
    assert_eq!(states(&store), [MessageState::Read, MessageState::Delivered]);
}

#[test]
fn what_waits_to_be_sent_keeps_its_order_and_stands_last() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).expect("a store");
    store.write(&grace(), id(101), &text("first"), 1).expect("kept");
    store.write(&grace(), id(102), &text("second"), 2).expect("kept");
    store.apply(&message_entry(1, false, "meanwhile")).expect("applied");
    let shown: Vec<String> = words(&store).into_iter().map(|(text, _)| text).collect();
    assert_eq!(shown, ["meanwhile", "first", "second"]);
    assert_eq!(store.next_unsent().expect("read").map(|unsent| unsent.message), Some(id(101)));
    store.failed(id(101)).expect("noted");
    assert_eq!(store.next_unsent().expect("read").map(|unsent| unsent.message), Some(id(102)));
    assert!(store.again(id(101)).expect("noted"));
    assert!(!store.again(id(102)).expect("looked at"), "it was not refused");
    assert_eq!(store.next_unsent().expect("read").map(|unsent| unsent.message), Some(id(101)));
}

#[test]
fn others_are_told_once_how_far_their_messages_have_come() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).expect("a store");
    for number in 1..=3 {
        store.apply(&message_entry(number, false, "words")).expect("applied");
    }
    let told = store.untold().expect("read");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].message, told[0].mark), (id(3), MessageMark::Delivered));
    store.was_told(told[0]).expect("noted");
    assert!(store.untold().expect("read").is_empty());
    assert!(store.seen(grace().user).expect("noted"));
    assert!(!store.seen(grace().user).expect("noted"), "nothing new was seen");
    store.apply(&message_entry(4, false, "one more")).expect("applied");
    let told = store.untold().expect("read");
    let marks: Vec<_> = told.iter().map(|untold| (untold.message, untold.mark)).collect();
    assert_eq!(marks, [(id(3), MessageMark::Read), (id(4), MessageMark::Delivered)]);
    for untold in told {
        store.was_told(untold).expect("noted");
    }
    assert!(store.untold().expect("read").is_empty());
}

#[test]
fn what_was_read_at_another_device_is_not_new_here() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).expect("a store");
    for number in 1..=3 {
        store.apply(&message_entry(number, false, "words")).expect("applied");
    }
    let unread = |store: &Store| store.conversations().expect("read")[0].unread;
    assert_eq!(unread(&store), 3);
    store.apply(&mark_entry(4, 2, MessageMark::Read, false)).expect("applied");
    assert_eq!(unread(&store), 1);
    let told = store.untold().expect("read");
    assert_eq!(told.len(), 1, "the server knows of the second: {told:?}");
    assert_eq!(told[0].message, id(3));
}

#[test]
fn older_messages_are_read_page_by_page() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).expect("a store");
    for number in 1..=10 {
        store.apply(&message_entry(number, number % 2 == 0, &number.to_string())).expect("applied");
    }
    let page = |store: &Store, before| {
        let messages = store.messages(grace().user, before, 4).expect("messages");
        messages.into_iter().map(|message| message.text).collect::<Vec<_>>()
    };
    assert_eq!(page(&store, None), ["7", "8", "9", "10"]);
    assert_eq!(page(&store, Some(id(7))), ["3", "4", "5", "6"]);
    assert_eq!(page(&store, Some(id(3))), ["1", "2"]);
    let conversations = store.conversations().expect("read");
    assert_eq!((conversations.len(), conversations[0].last.text.as_str()), (1, "10"));
}

#[test]
fn a_missed_call_is_new_until_it_is_looked_at_and_what_this_device_saw_counts() {
    let (_folder, path) = place();
    let mut store = Store::open(&path).expect("a store");
    let missed = |call: u128| InboxItem::MissedCall {
        call: CallId::from_bits(call),
        from: grace(),
        media: CallMedia::Video,
    };
    store.apply(&InboxEntry { number: 1, at_ms: 10_000, item: missed(1) }).expect("applied");
    let record = CallRecord {
        call: CallId::from_bits(2),
        peer: grace(),
        direction: Direction::Outgoing,
        media: CallMedia::Audio,
        outcome: Outcome::HungUpHere,
        rang_for: Duration::from_secs(5),
        answered_for: Some(Duration::from_secs(60)),
    };
    store.call(&record, 100_000).expect("kept");
    let calls = store.calls(10).expect("read");
    assert_eq!((calls[0].at_ms, calls[0].seconds, calls[0].seen), (35_000, Some(60.0), true));
    assert_eq!((calls[1].outcome, calls[1].video, calls[1].seen), (Outcome::Missed, true, false));
    assert!(store.calls_seen().expect("noted"));
    assert!(!store.calls_seen().expect("noted"));
    // The server tells the same call, which this device has declined for another one.
    let busy = CallRecord { call: CallId::from_bits(3), outcome: Outcome::DeclinedHere, ..record };
    store.call(&busy, 200_000).expect("kept");
    store.apply(&InboxEntry { number: 2, at_ms: 1, item: missed(3) }).expect("applied");
    assert_eq!(store.calls(1).expect("read")[0].outcome, Outcome::DeclinedHere);
}

#[test]
fn two_programs_share_a_history() {
    let (_folder, path) = place();
    let mut one = Store::open(&path).expect("a store");
    let mut other = Store::open(&path).expect("the same store");
    let entry = message_entry(1, false, "words");
    assert_eq!(one.apply(&entry).expect("applied"), Applied::Done);
    assert_eq!(other.apply(&entry).expect("known"), Applied::Done);
    assert_eq!(words(&other).len(), 1);
    other.write(&grace(), id(5), &text("of the other"), 9).expect("kept");
    assert_eq!(words(&one).len(), 2);
}

#[test]
fn a_file_that_is_no_history_or_a_later_one_is_left_as_it_is() {
    let (folder, path) = place();
    let foreign = folder.path().join("notes.txt");
    std::fs::write(&foreign, "These are notes, and no database. ".repeat(100)).expect("written");
    let before = std::fs::read(&foreign).expect("read");
    let refused = Store::open(&foreign).expect_err("no database");
    assert!(matches!(refused, HistoryError::Unusable { .. }), "{refused}");
    assert_eq!(std::fs::read(&foreign).expect("read"), before);
    drop(Store::open(&path).expect("a store"));
    Connection::open(&path).expect("open").pragma_update(None, "user_version", 99).expect("set");
    let refused = Store::open(&path).expect_err("a later one");
    assert!(matches!(refused, HistoryError::Newer { .. }), "{refused}");
}
