//! Files between two desks at a real server: picked, offered, taken, declined, stopped; without a call, and without a device.

use std::path::{Path, PathBuf};

use ahoy_client::desk::{DeskError, DeskEvent, LeftOutReason, PeopleSnapshot, PickedFiles};
use ahoy_client::settings::SettingsChange;
use ahoy_client::transfers::{FileStage, Stage, TransferView, Way};
use ahoy_client::{Problem, ProblemCode};

use crate::desk_people::{Seat, server, two};

impl Seat {
    async fn transfer(&mut self, what: &str, is_so: impl Fn(&TransferView) -> bool) -> TransferView {
        let pick = |event| match event {
            DeskEvent::Transfer(view) if is_so(&view) => Some(view),
            _ => None,
        };
        self.until(what, pick).await
    }

    /// The id of the contact that there is.
    fn contact(&self) -> String {
        self.desk.people().contacts[0].user.to_string()
    }

    async fn takes_files_to(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let folder = Some(Some(folder.to_str().unwrap().to_owned()));
        let change = SettingsChange { files_folder: folder, ..SettingsChange::default() };
        self.desk.change_settings(change).await.unwrap();
    }
}

fn written(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

fn code(error: DeskError) -> ProblemCode {
    Problem::from(error).code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_picked_is_offered_taken_and_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let (mut ada, mut grace) = two(folder.path(), &server).await;
    let inbox = folder.path().join("inbox");
    grace.takes_files_to(&inbox).await;
    let photo = written(folder.path(), "photo.jpg", &vec![7; 300_000]);
    written(folder.path(), "trip/plan.txt", b"tomorrow");
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("trip/secret")).unwrap();

    assert_eq!(code(ada.desk.send_picked(&ada.contact()).await.unwrap_err()), ProblemCode::NothingPicked);
    ada.desk.pick_files(vec![photo, folder.path().join("trip")]);
    let pick = |event| match event {
        DeskEvent::FilesPicked(picked) => Some(picked),
        _ => None,
    };
    let picked = ada.until("picked", pick).await;
    assert_eq!(picked, PickedFiles { names: vec!["photo.jpg".into(), "trip".into()], count: 2 });
    assert_eq!(code(ada.desk.send_picked("nobody").await.unwrap_err()), ProblemCode::NobodyFound);

    let sent = ada.desk.send_picked(&ada.contact()).await.unwrap();
    assert_eq!((sent.left_out_count, sent.left_out[0].why), (1, LeftOutReason::Link));
    let offered = grace.transfer("offered", |view| view.stage == Stage::Offered).await;
    assert_eq!((offered.way, offered.person.as_str()), (Way::Received, grace.contact().as_str()));
    assert_eq!((offered.tops, offered.files, offered.bytes), (2, 2, 300_008));
    let files = grace.desk.transfer_files(&offered.id).await.unwrap();
    let paths: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.stage)).collect();
    assert_eq!(paths, [("photo.jpg", FileStage::Waiting), ("trip/plan.txt", FileStage::Waiting)]);

    grace.desk.accept_files(&offered.id, None, None).await.unwrap();
    for seat in [&mut ada, &mut grace] {
        let over = seat.transfer("over", |view| view.stage == Stage::Ended).await;
        assert_eq!((over.done, over.failed, over.moved), (2, 0, 300_008));
    }
    assert_eq!(std::fs::read(inbox.join("photo.jpg")).unwrap(), vec![7; 300_000]);
    assert_eq!(std::fs::read(inbox.join("trip/plan.txt")).unwrap(), b"tomorrow");
    assert_eq!(grace.desk.folder_of(&offered.id).await.unwrap(), inbox);

    grace.desk.dismiss_transfer(&offered.id).await.unwrap();
    let gone = grace.desk.transfer_files(&offered.id).await.unwrap_err();
    assert_eq!(code(gone), ProblemCode::NoTransfer);
    assert!(grace.desk.transfers().await.is_empty());
    grace.desk.close().await;
    ada.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_those_whom_one_trusts_are_taken_unasked_and_others_can_be_declined() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let (mut ada, mut grace) = two(folder.path(), &server).await;
    let inbox = folder.path().join("inbox");
    grace.takes_files_to(&inbox).await;
    let note = written(folder.path(), "note.txt", b"hello");

    ada.desk.pick_files(vec![note.clone()]);
    ada.desk.send_picked(&ada.contact()).await.unwrap();
    let offered = grace.transfer("offered", |view| view.stage == Stage::Offered).await;
    grace.desk.decline_files(&offered.id).await.unwrap();
    let declined = ada.transfer("declined", |view| view.stage == Stage::Ended).await;
    assert_eq!(declined.trouble.as_deref(), Some("declined"));

    let change = SettingsChange { files_from: Some(vec![grace.contact()]), ..SettingsChange::default() };
    grace.desk.change_settings(change).await.unwrap();
    ada.desk.pick_files(vec![note]);
    ada.desk.send_picked(&ada.contact()).await.unwrap();
    let over = ada.transfer("over", |view| view.stage == Stage::Ended).await;
    assert_eq!((over.done, over.trouble), (1, None));
    assert_eq!(std::fs::read(inbox.join("note.txt")).unwrap(), b"hello");
    grace.desk.close().await;
    ada.desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_somebody_is_there_after_a_restart_and_can_be_called_off() {
    let folder = tempfile::tempdir().unwrap();
    let server = server();
    let (ada, grace) = two(folder.path(), &server).await;
    grace.desk.close().await;
    let note = written(folder.path(), "note.txt", b"hello");
    ada.desk.pick_files(vec![note.clone()]);
    let sent = ada.desk.send_picked(&ada.contact()).await.unwrap();
    ada.desk.close().await;
    drop(ada);

    let mut ada = Seat::at(&folder.path().join("ada"), server.url()).await;
    ada.desk.resume_sign_in().await.unwrap();
    let knows = |event| match event {
        DeskEvent::People(PeopleSnapshot { contacts, .. }) => (!contacts.is_empty()).then_some(()),
        _ => None,
    };
    ada.until("contacts", knows).await;
    let waiting = ada.desk.transfers().await;
    assert_eq!(waiting.iter().map(|view| view.id.as_str()).collect::<Vec<_>>(), [sent.id.as_str()]);
    ada.desk.cancel_transfer(&sent.id, None).await.unwrap();
    ada.transfer("called off", |view| view.stage == Stage::Ended).await;

    ada.desk.pick_files(vec![note]);
    ada.desk.forget_picked();
    assert_eq!(code(ada.desk.send_picked(&ada.contact()).await.unwrap_err()), ProblemCode::NothingPicked);
    ada.desk.pick_files(vec![folder.path().join("nothing-there")]);
    let nothing = ada.desk.send_picked(&ada.contact()).await.unwrap_err();
    assert_eq!(code(nothing), ProblemCode::NothingToSend);
    ada.desk.close().await;
}
