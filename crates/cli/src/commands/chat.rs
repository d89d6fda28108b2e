//! `ahoy-cli chat`.

use std::time::Duration;

use ahoy_client::signaling::{RoomEvent, Signaling, SignalingEvent, SignalingEvents};
use ahoy_signal::RoomId;
use anyhow::{Result, bail};
use serde_json::json;

use super::{connect, json_line};
use crate::Outcome;
use crate::args::ChatArgs;
use crate::event_lines::leave_words;

pub(crate) async fn run(args: ChatArgs) -> Result<Outcome> {
    let (signaling, mut events) = connect::session(&args.session, connect::SHORT_PATIENCE).await?;
    let said =
        tokio::time::timeout(Duration::from_secs_f64(args.seconds), say(&args, &signaling, &mut events));
    let said = said.await;
    connect::end(&signaling, events).await;
    match said {
        Ok(said) => said.map(|()| Outcome::Good),
        Err(_) => bail!("nobody let you in within {} s: nothing was said", args.seconds),
    }
}

async fn say(args: &ChatArgs, signaling: &Signaling, events: &mut SignalingEvents) -> Result<()> {
    let room = connect::find_room(&args.room, &args.session, signaling).await?;
    enter(room, signaling, events).await?;
    signaling.chat(room, args.text.clone()).await?;
    signaling.leave(room).await?;
    if args.session.json {
        json_line(&json!({"type": "said", "room": room}))?;
    }
    Ok(())
}

async fn enter(room: RoomId, signaling: &Signaling, events: &mut SignalingEvents) -> Result<()> {
    signaling.join(room).await;
    while let Some(event) = events.next().await {
        match event {
            SignalingEvent::Room { event: RoomEvent::Entered { .. }, .. } => return Ok(()),
            SignalingEvent::Room { event: RoomEvent::Refused(refusal), .. } => {
                let refused = ahoy_client::signaling::RequestError::Refused(refusal);
                return Err(ahoy_client::signaling::SignalingError::Request(refused).into());
            }
            SignalingEvent::Room { event: RoomEvent::Left(reason), .. } => bail!("{}", leave_words(reason)),
            SignalingEvent::GaveUp(trouble) => bail!("there is no connection to the server: {trouble}"),
            SignalingEvent::Ended(reason) => bail!("{reason}"),
            SignalingEvent::Room { .. }
            | SignalingEvent::Online { .. }
            | SignalingEvent::Offline { .. }
            | SignalingEvent::Contact(_)
            | SignalingEvent::ContactGone(_)
            | SignalingEvent::Inbox(_)
            | SignalingEvent::CallIncoming { .. }
            | SignalingEvent::CallAnswered { .. }
            | SignalingEvent::CallEnded { .. } => {}
        }
    }
    bail!("the session has ended")
}
