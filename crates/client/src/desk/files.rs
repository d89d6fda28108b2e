//! Files to and from contacts.
//!
//! The window never names a path: a person picks files in a dialog of the system or drops them on the window, and what was
//! picked stays here until the window says for whom it is.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ahoy_signal::ContactStanding;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::known::Teller;
use super::{Desk, DeskError, DeskEvent, SharedSettings};
use crate::account::{AccountPlace, SignedIn};
use crate::settings::Settings;
use crate::transfers::{
    FileView, LeftOut, NoTransfer, Person, Ranges, ScanError, Scanned, TransferId, TransferView, Transfers,
    TransfersEvent, Why, scan,
};

/// Names that are told of what was picked, and of what was left out.
const NAMES: usize = 3;

/// What a person wants to send and has not said to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct PickedFiles {
    /// The first names.
    pub names: Vec<String>,
    /// How many files and folders there are.
    pub count: u32,
}

impl PickedFiles {
    fn of(paths: &[PathBuf]) -> Self {
        let names = paths.iter().take(NAMES).map(|path| name(path)).collect();
        Self { names, count: paths.len() as u32 }
    }
}

/// A transfer that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct SentFiles {
    /// The transfer.
    pub id: String,
    /// What is not sent: the first of it.
    pub left_out: Vec<LeftOutFile>,
    /// How much is not sent.
    pub left_out_count: u32,
}

/// Something that is not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
pub struct LeftOutFile {
    /// What it is called.
    pub name: String,
    /// Why.
    pub why: LeftOutReason,
}

/// Why something is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "bindings", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum LeftOutReason {
    /// It is a link to something else.
    Link,
    /// It is neither a file nor a folder.
    Special,
    /// Its name is not Unicode.
    Name,
    /// It can't be read.
    Unreadable,
}

impl From<&LeftOut> for LeftOutFile {
    fn from(left: &LeftOut) -> Self {
        let why = match left.why {
            Why::Link => LeftOutReason::Link,
            Why::Special => LeftOutReason::Special,
            Why::Name => LeftOutReason::Name,
            Why::Unreadable(_) => LeftOutReason::Unreadable,
        };
        Self { name: name(&left.path), why }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What was picked last.
#[derive(Debug, Default)]
pub(super) struct Pick(Mutex<Vec<PathBuf>>);

impl Pick {
    fn replace(&self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), paths)
    }
}

impl Desk {
    /// Somebody drags files over the window, or does so no longer.
    pub fn files_dragged(&self, dragged: bool) {
        self.people.tell(DeskEvent::FilesDragged(dragged));
    }

    /// Somebody has picked files to send: [`DeskEvent::FilesPicked`] tells of them. What was picked before is not sent.
    pub fn pick_files(&self, paths: Vec<PathBuf>) {
        if paths.is_empty() {
            return;
        }
        let picked = PickedFiles::of(&paths);
        self.pick.replace(paths);
        self.people.tell(DeskEvent::FilesPicked(picked));
    }

    /// What was picked is not sent.
    pub fn forget_picked(&self) {
        self.pick.replace(Vec::new());
    }

    /// Offers what was picked to a contact, who is known by their id.
    ///
    /// # Errors
    /// [`DeskError::NothingPicked`], [`DeskError::Scan`], and those of [`accept_files`](Self::accept_files); then it stays picked.
    pub async fn send_picked(&self, user: &str) -> Result<SentFiles, DeskError> {
        let transfers = self.people.transfers().await?;
        let user = user.parse().map_err(|_| DeskError::NoSuchPerson)?;
        let contact = self.people.known_peer(user).ok_or(DeskError::NoSuchPerson)?;
        let paths = self.pick.replace(Vec::new());
        if paths.is_empty() {
            return Err(DeskError::NothingPicked);
        }
        match found(paths.clone()).await {
            Ok(Scanned { sources, left_out }) => {
                let id = transfers.give(&Person(contact.user.to_string()), sources);
                let count = left_out.len() as u32;
                let left_out = left_out.iter().take(NAMES).map(LeftOutFile::from).collect();
                Ok(SentFiles { id: id.to_string(), left_out, left_out_count: count })
            }
            Err(error) => {
                self.pick.replace(paths);
                Err(error.into())
            }
        }
    }

    /// All transfers, in no order; none where nobody is signed in.
    pub async fn transfers(&self) -> Vec<TransferView> {
        self.people.transfers().await.map(|transfers| transfers.list()).unwrap_or_default()
    }

    /// The files of a transfer.
    ///
    /// # Errors
    /// As [`accept_files`](Self::accept_files).
    pub async fn transfer_files(&self, id: &str) -> Result<Vec<FileView>, DeskError> {
        Ok(self.people.transfers().await?.files(parsed(id)?).await?)
    }

    /// Takes files that are offered, all of them without `files`, and puts them into `folder`, or that of the settings.
    ///
    /// # Errors
    /// [`DeskError::NotSignedIn`], [`DeskError::NoTransfer`]; [`DeskError::NoFolder`] where neither the settings nor the system
    /// has a folder for them.
    pub async fn accept_files(
        &self,
        id: &str,
        files: Option<Vec<u32>>,
        folder: Option<PathBuf>,
    ) -> Result<(), DeskError> {
        let transfers = self.people.transfers().await?;
        let folder = folder.or_else(|| files_folder(&self.settings())).ok_or(DeskError::NoFolder)?;
        let files = files.map(|files| files.into_iter().map(u64::from).collect::<Ranges>());
        Ok(transfers.accept(parsed(id)?, files, folder)?)
    }

    /// Does not take files that are offered.
    ///
    /// # Errors
    /// As [`accept_files`](Self::accept_files).
    pub async fn decline_files(&self, id: &str) -> Result<(), DeskError> {
        Ok(self.people.transfers().await?.decline(parsed(id)?)?)
    }

    /// Stops a transfer, or one file of it, for now, or has it go on.
    ///
    /// # Errors
    /// As [`accept_files`](Self::accept_files).
    pub async fn set_transfer_paused(
        &self,
        id: &str,
        file: Option<u32>,
        paused: bool,
    ) -> Result<(), DeskError> {
        let (transfers, id) = (self.people.transfers().await?, parsed(id)?);
        Ok(if paused { transfers.pause(id, file) } else { transfers.resume(id, file) }?)
    }

    /// Stops a transfer, or one file of it, for good.
    ///
    /// # Errors
    /// As [`accept_files`](Self::accept_files).
    pub async fn cancel_transfer(&self, id: &str, file: Option<u32>) -> Result<(), DeskError> {
        Ok(self.people.transfers().await?.cancel(parsed(id)?, file)?)
    }

    /// Shows a transfer that is over no longer.
    ///
    /// # Errors
    /// As [`accept_files`](Self::accept_files).
    pub async fn dismiss_transfer(&self, id: &str) -> Result<(), DeskError> {
        Ok(self.people.transfers().await?.dismiss(parsed(id)?)?)
    }

    /// The folder that a transfer was taken to.
    ///
    /// # Errors
    /// As [`accept_files`](Self::accept_files).
    pub async fn folder_of(&self, id: &str) -> Result<PathBuf, DeskError> {
        let view = self.transfers().await.into_iter().find(|view| view.id == id);
        view.and_then(|view| view.folder).ok_or(NoTransfer.into())
    }

    /// Where files go that nobody has chosen a folder for.
    pub fn files_folder(&self) -> Option<PathBuf> {
        files_folder(&self.settings())
    }
}

async fn found(paths: Vec<PathBuf>) -> Result<Scanned, ScanError> {
    let scanned = tokio::task::spawn_blocking(move || scan(&paths, |_| true)).await;
    scanned.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// That of the settings, or else the system's for what was downloaded.
fn files_folder(settings: &Settings) -> Option<PathBuf> {
    let chosen = settings.files_folder.as_ref().map(PathBuf::from);
    chosen.or_else(|| Some(directories::UserDirs::new()?.download_dir()?.to_owned()))
}

fn parsed(id: &str) -> Result<TransferId, DeskError> {
    id.parse().map_err(|_| NoTransfer.into())
}

/// Transfers of whoever is signed in, and the task that tells of them.
pub(super) struct Files {
    transfers: Transfers,
    telling: JoinHandle<()>,
}

impl Files {
    /// Goes on with what there is. Where it can't be remembered that is told, and everything else goes on without.
    pub(super) async fn open(
        accounts: &AccountPlace,
        signed_in: &SignedIn,
        settings: &SharedSettings,
        told: &Teller,
    ) -> Option<Self> {
        let record = signed_in.record()?;
        match Transfers::open(Person(record.user.to_string()), accounts.transfers(record)).await {
            Ok((transfers, events)) => {
                let telling = tell_transfers(transfers.clone(), events, Arc::clone(settings), told.clone());
                Some(Self { transfers, telling: tokio::spawn(telling) })
            }
            Err(error) => {
                tracing::error!(%error, "there are no transfers of files");
                told.tell(DeskEvent::Failed(DeskError::from(error).into()));
                None
            }
        }
    }

    pub(super) fn transfers(&self) -> Transfers {
        self.transfers.clone()
    }

    /// Lets all files go, so that they can be taken up again.
    pub(super) async fn close(self) {
        self.transfers.close().await;
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

/// Tells the window how transfers are doing, and takes what is offered by those of whom everything is taken.
async fn tell_transfers(
    transfers: Transfers,
    mut events: mpsc::Receiver<TransfersEvent>,
    settings: SharedSettings,
    told: Teller,
) {
    while let Some(event) = events.recv().await {
        match event {
            TransfersEvent::Offered(view) if !taken_unasked(&transfers, &settings, &told, &view) => {
                told.tell(DeskEvent::Transfer(*view));
            }
            // What becomes of it is told.
            TransfersEvent::Offered(_) => {}
            TransfersEvent::Changed(view) => told.tell(DeskEvent::Transfer(*view)),
        }
    }
}

/// Whether somebody is a contact now: who was removed or blocked is not trusted any more.
fn is_contact(told: &Teller, person: &str) -> bool {
    let Ok(user) = person.parse() else { return false };
    told.known().contacts.get(&user).is_some_and(|contact| contact.standing == ContactStanding::Contact)
}

fn taken_unasked(
    transfers: &Transfers,
    settings: &SharedSettings,
    told: &Teller,
    view: &TransferView,
) -> bool {
    let settings = settings.lock().unwrap_or_else(PoisonError::into_inner).get().clone();
    let is_trusted = settings.files_from.contains(&view.person) && is_contact(told, &view.person);
    let Some(folder) = files_folder(&settings).filter(|_| is_trusted) else { return false };
    view.id.parse().is_ok_and(|id| transfers.accept(id, None, folder).is_ok())
}
