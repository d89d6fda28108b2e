//! What a new signaling session means for calls: the server may have forgotten them.

use std::time::{Duration, Instant};

use ahoy_signal::{CallId, CallStage, CallSummary, ClientMessage};

use super::{ASK_PATIENCE, CallMachine};
use crate::current::{Recall, Stage};
use crate::events::Output;
use crate::leg::Leg;
use crate::snapshot::Direction;

/// How long a call rings on that a new session's server does not know: after a restart its caller calls again.
const FORGOTTEN_FOR: Duration = Duration::from_secs(10);
/// For how long the other side may take longer to come back to a server that has restarted.
const RECALL_FOR: Duration = Duration::from_secs(8);
/// How long a call rings at most of which only a summary is known: as long as servers let it ring.
const RINGING_MOST: Duration = Duration::from_secs(50);

impl CallMachine {
    pub(super) fn on_session(&mut self, calls: Vec<CallSummary>, now: Instant) {
        let ringing: Vec<CallId> =
            calls.iter().filter(|known| known.stage == CallStage::Incoming).map(|known| known.call).collect();
        let rings = |call: CallId| ringing.contains(&call);
        // What rings may have begun before this device was there.
        let current = self.current.as_ref().map(|current| current.call);
        for known in calls {
            if rings(known.call) && current != Some(known.call) {
                self.on_incoming(known.call, known.peer, known.media, RINGING_MOST, now);
            }
        }
        for incoming in self.incoming.iter_mut().filter(|incoming| !rings(incoming.call)) {
            incoming.forgotten = Some(now + FORGOTTEN_FOR);
        }
        let Some(current) = &mut self.current else { return };
        let call = current.call;
        match current.stage {
            Stage::Calling { .. } | Stage::Ringing { .. } => {
                current.stage = Stage::Calling { until: now + ASK_PATIENCE };
                self.call_again(now, now + RECALL_FOR);
            }
            // It is known already, or its caller calls again, or the time runs out.
            Stage::Accepting { .. } => {
                let until = now + FORGOTTEN_FOR;
                current.stage = Stage::Accepting { until };
                current.recall = Some(Recall { until, at: None });
                if rings(call) {
                    self.ask(ClientMessage::CallAccept { call });
                }
            }
            Stage::Answered { .. } => {
                current.server_knows = false;
                // What the two had to tell each other may be lost with the server that was to pass it on.
                let connected = current.legs.values().all(Leg::is_connected);
                if !connected && current.direction == Direction::Outgoing {
                    self.call_again(now, now + RECALL_FOR);
                }
            }
        }
    }

    /// Asks a server that has forgotten the call for it, and goes on asking while the other side comes back as well.
    pub(super) fn call_again(&mut self, now: Instant, until: Instant) {
        let Some(current) = &mut self.current else { return };
        (current.recall, current.server_knows) = (Some(Recall { until, at: None }), true);
        let (call, to, media) = (current.call, current.peer.user, current.media);
        self.out.push(Output::Ask(ClientMessage::Call { call, to, media }));
        // What was said to the server that has forgotten it is said again.
        for (peer, leg) in &mut current.legs {
            *leg = Leg::new(true);
            if matches!(current.stage, Stage::Answered { .. }) {
                leg.answered(now);
            }
            self.out.push(Output::OpenLeg { peer: *peer, offers: true });
        }
    }
}
