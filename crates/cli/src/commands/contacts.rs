//! `ahoy-cli contacts`.

use ahoy_client::signaling::Signaling;
use anyhow::Result;
use serde_json::json;

use super::{connect, json_line, print_line};
use crate::Outcome;
use crate::args::{ContactsArgs, ContactsCommand};
use crate::event_lines::contact_words;

pub(crate) async fn run(args: ContactsArgs) -> Result<Outcome> {
    let session = match &args.command {
        ContactsCommand::List { session }
        | ContactsCommand::Add { session, .. }
        | ContactsCommand::Remove { session, .. }
        | ContactsCommand::Block { session, .. } => session.clone(),
    };
    let (signaling, events) = connect::session(&session, connect::SHORT_PATIENCE).await?;
    let done = act(args.command, &signaling, session.json).await;
    connect::end(&signaling, events).await;
    done.map(|()| Outcome::Good)
}

async fn act(command: ContactsCommand, signaling: &Signaling, json: bool) -> Result<()> {
    let shown = match command {
        ContactsCommand::List { .. } => {
            let contacts = signaling.contacts().await?;
            if contacts.is_empty() && !json {
                print_line("No contacts yet: ahoy-cli contacts add HANDLE asks someone.")?;
            }
            contacts
        }
        ContactsCommand::Add { handle, .. } => vec![signaling.add_contact(handle).await?],
        ContactsCommand::Block { handle, .. } => vec![signaling.block_contact(&handle).await?],
        ContactsCommand::Remove { handle, .. } => {
            signaling.remove_contact(&handle).await?;
            return if json {
                json_line(&json!({"type": "contact_removed", "handle": handle}))
            } else {
                print_line(&format!("{handle} is no contact of yours any more."))
            };
        }
    };
    for contact in shown {
        if json {
            json_line(&json!({"type": "contact", "contact": contact}))?;
        } else {
            print_line(&contact_words(&contact))?;
        }
    }
    Ok(())
}
