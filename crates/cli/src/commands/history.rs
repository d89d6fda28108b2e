//! `ahoy-cli message`, `ahoy-cli messages` and `ahoy-cli calls`.

use ahoy_client::calls::Outcome as Ending;
use ahoy_client::history::{Conversation, History, Message, MessageState, PastCall};
use ahoy_client::signaling::{Signaling, SignalingEvent, SignalingEvents};
use ahoy_signal::{CallPeer, Handle};
use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::{connect, json_line, print_line};
use crate::Outcome;
use crate::args::{CallsArgs, MessageArgs, MessagesArgs, SessionArgs};

/// A session and its history, with everything that came meanwhile.
struct Desk {
    signaling: Signaling,
    events: SignalingEvents,
    history: History,
}

impl Desk {
    async fn open(session: &SessionArgs) -> Result<Self> {
        let (_, signed_in) = connect::signed_in(session).await?;
        let history = connect::history(session, &signed_in).await?.context("guests have no history")?;
        let (signaling, mut events) = connect::online(&signed_in, connect::SHORT_PATIENCE).await?;
        let history = history.follow(signaling.clone());
        tokio::select! {
            done = history.exchange() => anyhow::ensure!(done, "the connection was lost: try again"),
            // They must be taken for the answers to come.
            lost = ended(&mut events) => bail!("{lost}"),
        }
        Ok(Self { signaling, events, history })
    }

    async fn close(self) {
        connect::end(&self.signaling, self.events).await;
    }
}

/// Takes events until the session is over; says why it is.
async fn ended(events: &mut SignalingEvents) -> String {
    while let Some(event) = events.next().await {
        match event {
            SignalingEvent::GaveUp(trouble) => {
                return format!("there is no connection to the server: {trouble}");
            }
            SignalingEvent::Ended(reason) => return reason.to_string(),
            _ => {}
        }
    }
    "the session is over".to_owned()
}

pub(crate) async fn message(args: MessageArgs) -> Result<Outcome> {
    let mut desk = Desk::open(&args.session).await?;
    let sent = tokio::select! {
        sent = send(&desk.signaling, &desk.history, &args) => sent,
        lost = ended(&mut desk.events) => {
            Err(anyhow::anyhow!("{lost}; the message is kept, and goes out with the next command"))
        }
    };
    desk.close().await;
    sent
}

async fn send(signaling: &Signaling, history: &History, args: &MessageArgs) -> Result<Outcome> {
    let contact = signaling.find_contact(&args.handle).await?;
    let to = CallPeer { user: contact.user, handle: contact.handle, name: contact.name };
    let name = to.name.clone();
    let id = history.write(to, args.text.clone()).await?;
    let done = history.exchange().await;
    let state = history.state(id).await?;
    if args.session.json {
        json_line(&json!({"type": "message", "message": id, "state": state}))?;
    }
    match state {
        Some(MessageState::Failed) => bail!("{name} is no contact of yours any more: nothing was sent"),
        Some(MessageState::Sending) | None => {
            anyhow::ensure!(
                done,
                "the connection was lost; the message is kept, and goes out with the next command"
            );
            bail!("the server did not take the message")
        }
        Some(_) if !args.session.json => print_line(&format!("Sent to {name}."))?,
        Some(_) => {}
    }
    Ok(Outcome::Good)
}

pub(crate) async fn messages(args: MessagesArgs) -> Result<Outcome> {
    let mut desk = Desk::open(&args.session).await?;
    let json = args.session.json;
    let shown = async {
        let conversations = desk.history.conversations().await?;
        match &args.handle {
            None => show_conversations(&conversations, json),
            Some(handle) => {
                let with = find(&desk.signaling, &conversations, handle).await?;
                for message in desk.history.messages(with.user, None, args.last).await? {
                    if json {
                        json_line(&json!({"type": "message", "with": with.handle, "message": message}))?;
                    } else {
                        print_line(&message_words(&message, &with))?;
                    }
                }
                if !args.peek {
                    desk.history.seen(with.user).await?;
                    desk.history.exchange().await;
                }
                Ok(())
            }
        }
    };
    let shown = tokio::select! {
        shown = shown => shown,
        lost = ended(&mut desk.events) => Err(anyhow::anyhow!("{lost}")),
    };
    desk.close().await;
    shown.map(|()| Outcome::Good)
}

/// Somebody by their handle: also one who is no contact any more, if there is something of them.
async fn find(signaling: &Signaling, conversations: &[Conversation], handle: &Handle) -> Result<CallPeer> {
    if let Some(known) = conversations.iter().find(|conversation| conversation.with.handle == *handle) {
        return Ok(known.with.clone());
    }
    let contact = signaling.find_contact(handle).await?;
    Ok(CallPeer { user: contact.user, handle: contact.handle, name: contact.name })
}

fn show_conversations(conversations: &[Conversation], json: bool) -> Result<()> {
    if conversations.is_empty() && !json {
        return print_line("No messages yet: ahoy-cli message HANDLE TEXT writes one.");
    }
    for conversation in conversations {
        if json {
            json_line(&json!({"type": "conversation", "conversation": conversation}))?;
            continue;
        }
        let Conversation { with, last, unread } = conversation;
        let new = if *unread > 0 { format!("  ({unread} new)") } else { String::new() };
        print_line(&format!("{:<20} {}{new}", with.handle.as_str(), message_words(last, with)))?;
    }
    Ok(())
}

fn message_words(message: &Message, with: &CallPeer) -> String {
    let (who, mark) = match message.state {
        MessageState::Received => (with.name.as_str(), ""),
        MessageState::Sending => ("you", " (not sent yet)"),
        MessageState::Sent => ("you", ""),
        MessageState::Delivered => ("you", " (delivered)"),
        MessageState::Read => ("you", " (read)"),
        MessageState::Failed => ("you", " (not sent: no contact any more)"),
    };
    format!("{}  <{who}> {}{mark}", time_words(message.at_ms), message.text)
}

/// A time as the clock on this machine's wall has it.
fn time_words(at_ms: u64) -> String {
    let time = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let time = time.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned_datetime(jiff::tz::TimeZone::system());
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

pub(crate) async fn calls(args: CallsArgs) -> Result<Outcome> {
    let mut desk = Desk::open(&args.session).await?;
    let json = args.session.json;
    let shown = async {
        let calls = desk.history.calls(args.last).await?;
        if calls.is_empty() && !json {
            print_line("No calls yet: ahoy-cli call HANDLE makes one.")?;
        }
        for call in &calls {
            if json {
                json_line(&json!({"type": "past_call", "call": call}))?;
            } else {
                print_line(&past_call_words(call))?;
            }
        }
        Ok(desk.history.calls_seen().await?)
    };
    let shown = tokio::select! {
        shown = shown => shown,
        lost = ended(&mut desk.events) => Err(anyhow::anyhow!("{lost}")),
    };
    desk.close().await;
    shown.map(|()| Outcome::Good)
}

fn past_call_words(call: &PastCall) -> String {
    let way = if call.outgoing { "to  " } else { "from" };
    let kind = if call.video { "video" } else { "voice" };
    let how = match (call.outcome, call.seconds) {
        (Ending::HungUpHere | Ending::HungUpThere, Some(seconds)) => super::call::duration(Some(seconds)),
        (Ending::HungUpHere | Ending::HungUpThere, None) => "not connected".to_owned(),
        (Ending::Cancelled, _) => "given up".to_owned(),
        (Ending::DeclinedHere | Ending::DeclinedElsewhere, _) => "you declined".to_owned(),
        (Ending::Declined, _) => "declined".to_owned(),
        (Ending::Busy, _) => "busy".to_owned(),
        (Ending::NoAnswer, _) => "no answer".to_owned(),
        (Ending::Offline, _) => "not online".to_owned(),
        (Ending::Missed, _) if call.seen => "missed".to_owned(),
        (Ending::Missed, _) => "missed (new)".to_owned(),
        (Ending::AnsweredElsewhere, _) => "taken at another device".to_owned(),
        (Ending::NoConnection, _) => "no connection".to_owned(),
        (Ending::ConnectionLost, seconds) => {
            format!("connection lost after {}", super::call::duration(seconds))
        }
        (Ending::NoServer, _) => "no server".to_owned(),
        (Ending::Refused { .. }, _) => "refused".to_owned(),
    };
    let CallPeer { handle, name, .. } = &call.with;
    format!("{}  {way} {:<20} {:<24} {kind}  {how}", time_words(call.at_ms), handle.as_str(), name.as_str())
}
