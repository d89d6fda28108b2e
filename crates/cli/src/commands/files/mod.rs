//! `ahoy-cli send` and `ahoy-cli receive`.

mod words;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ahoy_client::calls::{Calls, CallsEvent, CallsOptions, Policy};
use ahoy_client::signaling::{Signaling, SignalingEvent};
use ahoy_client::transfers::{
    Person, ScanError, Stage, TransferId, TransferView, Transfers, TransfersEvent, Way, scan,
};
use ahoy_signal::{Contact, UserId};
use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use self::words::Teller;
use super::keyboard::{Keyboard, Typed};
use super::{cancelled_by_ctrl_c, complain, connect, json_line, print_line};
use crate::Outcome;
use crate::args::{ReceiveArgs, SendArgs, SessionArgs, WayArgs};

/// How long the good-bye to the server, and to the other side, may take.
const END_WITHIN: Duration = Duration::from_secs(4);

/// A session over which files go.
struct Online {
    signaling: Signaling,
    calls: Calls,
    calls_events: mpsc::Receiver<CallsEvent>,
    transfers: Transfers,
    events: mpsc::Receiver<TransfersEvent>,
    contacts: Vec<Contact>,
    cancel: watch::Receiver<bool>,
}

/// What happens.
enum Happened {
    Transfer(TransfersEvent),
    Cancelled,
    /// The session with the server is over.
    Ended(String),
}

impl Online {
    async fn start(session: &SessionArgs, way: &WayArgs) -> Result<Self> {
        let (_, signed_in) = connect::signed_in(session).await?;
        let record = signed_in.record().context("guests can't send files from here")?;
        let folder = connect::transfers_folder(session, record)?;
        let (transfers, events) = Transfers::open(Person(record.user.to_string()), folder).await?;
        let (signaling, signals) = connect::online(&signed_in, connect::LONG_PATIENCE).await?;
        let contacts = signaling.contacts().await?;
        let options = CallsOptions {
            bind: way.bind.iter().map(|address| SocketAddr::new(*address, 0)).collect(),
            policy: if way.relay_only { Policy::RelayOnly } else { Policy::All },
            transfers: Some(transfers.clone()),
            ..CallsOptions::default()
        };
        let (calls, calls_events) = Calls::start(&signaling, signals, options);
        let cancel = cancelled_by_ctrl_c();
        Ok(Self { signaling, calls, calls_events, transfers, events, contacts, cancel })
    }

    async fn next(&mut self) -> Happened {
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => return Happened::Transfer(event),
                    None => return Happened::Ended("there are no transfers any more".to_owned()),
                },
                event = self.calls_events.recv() => match event {
                    Some(CallsEvent::Signaling(SignalingEvent::GaveUp(trouble))) => {
                        return Happened::Ended(format!("there is no connection to the server: {trouble}"));
                    }
                    Some(CallsEvent::Signaling(SignalingEvent::Ended(reason))) => {
                        return Happened::Ended(reason.to_string());
                    }
                    // Calls are for other programs.
                    Some(_) => {}
                    None => return Happened::Ended("the session has ended".to_owned()),
                },
                _ = self.cancel.changed() => return Happened::Cancelled,
            }
        }
    }

    fn contact(&self, person: &str) -> Option<&Contact> {
        let user: UserId = person.parse().ok()?;
        self.contacts.iter().find(|contact| contact.user == user)
    }

    /// What somebody is called.
    fn name(&self, person: &str) -> String {
        self.contact(person).map_or_else(|| "somebody".to_owned(), |contact| contact.name.to_string())
    }

    /// Stops these transfers for good, and lets the other side know, if it is there.
    async fn cancel(&mut self, ids: &[TransferId]) {
        for id in ids {
            // It may have ended at this very moment.
            let _ = self.transfers.cancel(*id, None);
        }
        let mut left = ids.to_vec();
        let _ = timeout(END_WITHIN, async {
            while !left.is_empty() {
                if let Some(TransfersEvent::Changed(view)) = self.events.recv().await
                    && (view.stage == Stage::Ended || !view.connected)
                {
                    left.retain(|id| id.to_string() != view.id);
                }
            }
        })
        .await;
    }

    async fn end(self) {
        self.transfers.close().await;
        self.signaling.end().await;
        let (calls, mut events) = (self.calls, self.calls_events);
        drop(calls);
        // A server that does not say good-bye finds out by itself.
        let _ = timeout(END_WITHIN, async { while events.recv().await.is_some() {} }).await;
    }
}

fn id_of(view: &TransferView) -> Result<TransferId> {
    Ok(view.id.parse()?)
}

pub(crate) async fn send(args: SendArgs) -> Result<Outcome> {
    let json = args.session.json;
    let sources = if args.resume { None } else { Some(looked_for(&args.paths, json)?) };
    let mut online = Online::start(&args.session, &args.way).await?;
    let mut ours: Vec<TransferId> = Vec::new();
    if let (Some(sources), Some(to)) = (sources, &args.to) {
        let contact = online.signaling.find_contact(to).await?;
        ours.push(online.transfers.give(&Person(contact.user.to_string()), sources));
    } else {
        let given = online.transfers.list().into_iter().filter(|view| view.way == Way::Sent);
        ours = given.map(|view| id_of(&view)).collect::<Result<_>>()?;
        if ours.is_empty() {
            online.end().await;
            bail!("there is nothing to go on with: all that you have sent is over");
        }
    }
    let give_up = args.seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let mut teller = Teller::new(json);
    let outcome = follow(&mut online, &mut teller, ours, give_up).await;
    teller.finish()?;
    online.end().await;
    outcome
}

/// Follows transfers until all of them are over.
async fn follow(
    online: &mut Online,
    teller: &mut Teller,
    mut left: Vec<TransferId>,
    give_up: Option<Instant>,
) -> Result<Outcome> {
    let mut all_good = true;
    while !left.is_empty() {
        let happened = tokio::select! {
            happened = online.next() => happened,
            () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => {
                teller.finish()?;
                complain("it is not all there yet: it goes on with ahoy-cli send --resume");
                return Ok(Outcome::NotGood);
            }
        };
        match happened {
            Happened::Transfer(TransfersEvent::Changed(view))
                if left.iter().any(|id| id.to_string() == view.id) =>
            {
                let name = online.name(&view.person);
                teller.tell(&view, &name)?;
                if view.stage == Stage::Ended {
                    all_good &= view.failed == 0 && view.trouble.is_none();
                    left.retain(|id| id.to_string() != view.id);
                    failures(online, teller, &view).await?;
                }
            }
            Happened::Transfer(_) => {}
            Happened::Cancelled => {
                teller.finish()?;
                online.cancel(&left).await;
                complain("cancelled");
                return Ok(Outcome::Interrupted);
            }
            Happened::Ended(reason) => bail!("{reason}; the transfer goes on with ahoy-cli send --resume"),
        }
    }
    Ok(if all_good { Outcome::Good } else { Outcome::NotGood })
}

/// Which files failed, and why.
async fn failures(online: &Online, teller: &mut Teller, view: &TransferView) -> Result<()> {
    if view.failed > 0
        && let Ok(files) = online.transfers.files(id_of(view)?).await
    {
        teller.failures(&files)?;
    }
    Ok(())
}

/// All that the paths are and hold, with a word about what can't be sent.
fn looked_for(paths: &[PathBuf], json: bool) -> Result<ahoy_client::transfers::Sources> {
    let left_out = |left_out: &[ahoy_client::transfers::LeftOut]| -> Result<()> {
        for left in left_out {
            let (path, why) = (left.path.display().to_string(), left.why.to_string());
            match json {
                true => json_line(&json!({"type": "left_out", "path": path, "why": why}))?,
                false => complain(&format!("{path} is left out: {why}")),
            }
        }
        Ok(())
    };
    match scan(paths, |_| true) {
        Ok(scanned) => {
            left_out(&scanned.left_out)?;
            Ok(scanned.sources)
        }
        Err(ScanError::Nothing(left)) => {
            left_out(&left)?;
            bail!("there is nothing to send");
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn receive(args: ReceiveArgs) -> Result<Outcome> {
    let folder = folder(&args.into)?;
    let mut online = Online::start(&args.session, &args.way).await?;
    let mut teller = Teller::new(args.session.json);
    let mut receiving = Receiving::new(&args, folder);
    let outcome = receiving.run(&mut online, &mut teller).await;
    teller.finish()?;
    online.end().await;
    outcome
}

fn folder(into: &Path) -> Result<PathBuf> {
    let folder = into.canonicalize().with_context(|| format!("{} can't be used", into.display()))?;
    ahoy_client::transfers::is_writable(&folder)
        .with_context(|| format!("nothing can be written into {}", folder.display()))?;
    Ok(folder)
}

struct Receiving<'a> {
    args: &'a ReceiveArgs,
    folder: PathBuf,
    keyboard: Option<Keyboard>,
    /// What the person is asked about.
    asked: Vec<TransferView>,
    /// What is coming.
    left: Vec<TransferId>,
    all_good: bool,
    had_any: bool,
}

impl<'a> Receiving<'a> {
    fn new(args: &'a ReceiveArgs, folder: PathBuf) -> Self {
        let keyboard = (!args.yes).then(Keyboard::start);
        let (asked, left) = (Vec::new(), Vec::new());
        Self { args, folder, keyboard, asked, left, all_good: true, had_any: false }
    }

    async fn run(&mut self, online: &mut Online, teller: &mut Teller) -> Result<Outcome> {
        // What was interrupted goes on.
        for view in online.transfers.list() {
            if view.way == Way::Received && view.stage == Stage::Going {
                self.left.push(id_of(&view)?);
            }
        }
        teller.waits()?;
        let mut give_up = self.args.wait.map(|wait| Instant::now() + Duration::from_secs_f64(wait));
        loop {
            let is_idle = self.left.is_empty() && self.asked.is_empty();
            if is_idle && self.had_any && !self.args.keep {
                return Ok(if self.all_good { Outcome::Good } else { Outcome::NotGood });
            }
            let typed = async {
                match &mut self.keyboard {
                    Some(keyboard) => keyboard.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                happened = online.next() => match happened {
                    Happened::Transfer(event) => {
                        self.on_event(online, teller, event).await?;
                        give_up = self.args.wait.map(|wait| Instant::now() + Duration::from_secs_f64(wait));
                    }
                    Happened::Cancelled => {
                        teller.finish()?;
                        let left = std::mem::take(&mut self.left);
                        online.cancel(&left).await;
                        return Ok(Outcome::Interrupted);
                    }
                    Happened::Ended(reason) => bail!("{reason}"),
                },
                typed = typed => match typed {
                    Typed::Line(line) => self.on_line(online, &line)?,
                    Typed::Leave => return Ok(Outcome::Interrupted),
                },
                () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() && is_idle => {
                    return Ok(Outcome::NotGood);
                }
            }
        }
    }

    async fn on_event(&mut self, online: &Online, teller: &mut Teller, event: TransfersEvent) -> Result<()> {
        match event {
            TransfersEvent::Offered(view) => {
                let from = online.contact(&view.person);
                let is_for_us =
                    self.args.from.as_ref().is_none_or(|only| from.is_some_and(|from| from.handle == *only));
                if !is_for_us {
                    return Ok(());
                }
                teller.offered(&view, &online.name(&view.person), self.keyboard.is_some())?;
                match self.args.yes {
                    true => self.take(online, &view)?,
                    false => self.asked.push(*view),
                }
            }
            TransfersEvent::Changed(view) => {
                let id = id_of(&view)?;
                if view.stage == Stage::Ended {
                    self.asked.retain(|asked| asked.id != view.id);
                }
                if self.left.contains(&id) {
                    teller.tell(&view, &online.name(&view.person))?;
                    if view.stage == Stage::Ended {
                        self.all_good &= view.failed == 0 && view.trouble.is_none();
                        self.had_any = true;
                        self.left.retain(|left| *left != id);
                        failures(online, teller, &view).await?;
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, online: &Online, view: &TransferView) -> Result<()> {
        let id = id_of(view)?;
        self.left.push(id);
        online.transfers.accept(id, None, self.folder.clone())?;
        Ok(())
    }

    fn on_line(&mut self, online: &Online, line: &str) -> Result<()> {
        if self.asked.is_empty() {
            return Ok(());
        }
        let view = self.asked.remove(0);
        match line.trim().to_lowercase().as_str() {
            "" | "y" | "yes" => self.take(online, &view)?,
            _ => {
                self.had_any = true;
                self.all_good = false;
                online.transfers.decline(id_of(&view)?)?;
                if !self.args.session.json {
                    print_line("* Declined.")?;
                }
            }
        }
        Ok(())
    }
}
