//! Calls by link at the desk: joined as a guest, from an account or from none, and calls that a computer hosts itself.

use ahoy_client::desk::{CallStage, CallsView, DeskEvent, Ending, PersonCall};
use ahoy_client::{Problem, ProblemCode};

use crate::desk_people::{Seat, server, two};

/// Nobody listens there: desks that sign in nowhere.
const NOWHERE: &str = "http://127.0.0.1:9";

fn current(calls: &CallsView, is_so: impl Fn(&PersonCall) -> bool) -> bool {
    calls.current.as_ref().is_some_and(is_so)
}

/// The link of a call that one has just made.
async fn link(seat: &mut Seat) -> String {
    let calls = seat.calls("the link", |calls| current(calls, |call| call.link.is_some())).await;
    calls.current.unwrap().link.unwrap().url
}

async fn join(seat: &Seat, link: &str) -> Result<(), Problem> {
    seat.desk.open_link(link).map_err(Problem::from)?;
    let invitation = seat.desk.take_invitation().expect("it was opened");
    seat.desk.join_link(&invitation.link, "Guest", true).await.map_err(Problem::from)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_without_an_account_opens_a_link_and_is_in_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let mut ada = Seat::at(&folder.path().join("ada"), server.url()).await;
    let mut guest = Seat::at(&folder.path().join("guest"), NOWHERE).await;
    ada.sign_up("ada").await;
    ada.desk.start_link_call(true).await.unwrap();
    let link = link(&mut ada).await;
    join(&guest, &format!("ahoy:{link}")).await.unwrap();
    assert_eq!(guest.desk.take_invitation(), None, "it is told once");
    ada.connected().await;
    guest.connected().await;
    let with = guest.desk.calls().current.unwrap();
    assert_eq!((with.name.as_str(), with.outgoing, with.link), ("ada", false, None));
    guest.desk.write_message(&with.user, "Good morning").await.unwrap();
    let user = ada.desk.calls().current.unwrap().user;
    ada.until("a line", |event| matches!(event, DeskEvent::MessagesChanged).then_some(())).await;
    assert_eq!(ada.desk.messages(&user, None).await.unwrap()[0].text, "Good morning");
    guest.desk.set_muted(true).await.unwrap();
    ada.calls("muted", |calls| current(calls, |call| call.muted_there)).await;
    let busy = guest.desk.start_test_call().await.map_err(Problem::from).unwrap_err();
    assert_eq!(busy.code, ProblemCode::CallRunning);
    ada.desk.hang_up().await;
    assert_eq!(guest.ending().await, Ending::HungUp);
    guest.desk.start_test_call().await.unwrap();
    guest.desk.close().await;
    // The room is gone with the call.
    let late = Seat::at(&folder.path().join("late"), NOWHERE).await;
    ada.ending().await;
    while join(&late, &link).await.map_err(|problem| problem.code) != Err(ProblemCode::InviteInvalid) {
        late.desk.hang_up().await;
    }
    ada.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_leaves_the_account_alone_and_gives_way_to_a_call_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (server, other) = (server(), server());
    let (mut ada, mut grace) = two(folder.path(), &server).await;
    let mut host = Seat::at(&folder.path().join("host"), other.url()).await;
    host.sign_up("host").await;
    host.desk.start_link_call(true).await.unwrap();
    let link = link(&mut host).await;
    join(&ada, &link).await.unwrap();
    ada.connected().await;
    for refused in [
        ada.desk.call("grace", true).await.map_err(Problem::from),
        ada.desk.start_link_call(true).await.map_err(Problem::from),
        join(&ada, &link).await,
    ] {
        assert_eq!(refused.unwrap_err().code, ProblemCode::CallRunning);
    }
    grace.desk.call("ada", true).await.unwrap();
    let rings = ada.calls("it rings", |calls| !calls.ringing.is_empty()).await;
    assert!(current(&rings, |call| call.name == "host"), "the visit goes on: {rings:?}");
    ada.desk.accept(&rings.ringing[0].call, true).await.unwrap();
    assert_eq!(ada.ending().await, Ending::HungUp, "of the visit");
    grace.connected().await;
    ada.calls("with Grace", |calls| {
        current(calls, |call| call.handle == "grace" && call.stage == CallStage::Connected)
    })
    .await;
    ada.desk.hang_up().await;
    assert_eq!(grace.ending().await, Ending::HungUp);
    join(&ada, &link).await.unwrap();
    ada.connected().await;
    ada.desk.sign_out().await.unwrap();
    assert!(ada.desk.calls().current.is_some(), "signing out ends no call by somebody else's link");
    ada.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_lead_nowhere_have_their_codes_and_leave_the_devices_free() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let mut ada = Seat::at(&folder.path().join("ada"), server.url()).await;
    ada.sign_up("ada").await;
    ada.desk.start_link_call(true).await.unwrap();
    let link = link(&mut ada).await;
    let guest = Seat::at(&folder.path().join("guest"), NOWHERE).await;
    let forged = format!("{}x", link);
    let (server_part, rest) = link.split_once("/join/").unwrap();
    let elsewhere = link.replace(server_part, NOWHERE);
    let in_the_open = format!("http://192.0.2.7/join/{rest}");
    for (bad, code) in [
        ("https://call.example.org", ProblemCode::LinkRefused),
        (&forged, ProblemCode::InviteInvalid),
        (&elsewhere, ProblemCode::ServerUnreachable),
        (&in_the_open, ProblemCode::AddressRefused),
    ] {
        assert_eq!(join(&guest, bad).await.unwrap_err().code, code, "{bad}");
    }
    let nameless = guest.desk.join_link(&link, "  ", true).await.map_err(Problem::from);
    assert_eq!(nameless.unwrap_err().code, ProblemCode::NameRefused);
    assert_eq!(guest.desk.calls(), CallsView::default());
    guest.desk.start_test_call().await.unwrap();
    guest.desk.close().await;
    ada.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_can_be_let_be_while_its_server_is_still_asked() {
    let folder = tempfile::tempdir().unwrap();
    let guest = Seat::at(&folder.path().join("guest"), NOWHERE).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let room = ahoy_signal::RoomId::from_bits(5);
    let link = format!("http://{}/join/{room}#eyJhbGciOi.J", silent.local_addr().unwrap());
    let let_be = async {
        let asked = silent.accept().await.unwrap();
        guest.desk.hang_up().await;
        asked
    };
    let (joined, _asked) = tokio::join!(join(&guest, &link), let_be);
    assert_eq!(joined, Ok(()), "an error would be that of a server that does not answer");
    assert_eq!(guest.desk.calls(), CallsView::default());
    guest.desk.start_test_call().await.unwrap();
    guest.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_one_is_told_that_the_call_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let mut ada = Seat::at(&folder.path().join("ada"), server.url()).await;
    ada.sign_up("ada").await;
    ada.desk.start_link_call(true).await.unwrap();
    let link = link(&mut ada).await;
    let mut first = Seat::at(&folder.path().join("first"), NOWHERE).await;
    join(&first, &link).await.unwrap();
    first.connected().await;
    let mut second = Seat::at(&folder.path().join("second"), NOWHERE).await;
    join(&second, &link).await.unwrap();
    let code = |event| match event {
        // Where the devices were not open yet.
        DeskEvent::Failed(problem) => Some(problem.code),
        DeskEvent::Ended(summary) => Some(summary.problems[0].code),
        _ => None,
    };
    assert_eq!(second.until("it is refused", code).await, ProblemCode::RoomFull);
    assert_eq!(second.desk.calls(), CallsView::default());
    for seat in [ada, first, second] {
        seat.desk.close().await;
    }
}
