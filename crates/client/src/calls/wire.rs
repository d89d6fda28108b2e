//! Signals of a peer connection in the form in which they go to the other side, and back.

use ahoy_rtc::{DescriptionKind, Signal};
use ahoy_signal::{CallSignal, CandidateLine, DescriptionKind as WireKind, IceGeneration, Sdp, TextError};

/// Numbers one's descriptions, and puts signals into the form in which they travel.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    revision: u32,
}

/// Why a signal can't be sent. None of these comes from a peer connection that works.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    /// It belongs to no ICE generation.
    #[error("a signal without an ICE generation")]
    NoGeneration,
    /// It breaks a rule of the protocol.
    #[error(transparent)]
    Text(#[from] TextError),
}

impl Outgoing {
    pub(super) fn pack(&mut self, signal: Signal) -> Result<CallSignal, WireError> {
        let generation = signal.generation().ok_or(WireError::NoGeneration)?;
        let generation = IceGeneration::new(generation)?;
        Ok(match signal {
            Signal::Description { kind, sdp } => {
                let kind = match kind {
                    DescriptionKind::Offer => WireKind::Offer,
                    DescriptionKind::Answer => WireKind::Answer,
                };
                let sdp = Sdp::new(sdp)?;
                self.revision += 1;
                CallSignal::Description { kind, revision: self.revision, generation, sdp }
            }
            Signal::Candidate { candidate, sdp_mid, sdp_mline_index, .. } => CallSignal::Candidate {
                candidate: CandidateLine::new(candidate)?,
                sdp_mid: sdp_mid.map(Into::into),
                sdp_mline_index,
                generation,
            },
        })
    }
}

/// Takes signals out of the form in which they travel. Servers keep the order; a signal that went another way, because
/// the server did not know the call, may be late.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    newest: u32,
}

impl Incoming {
    /// The signal; `None` for a description that is older than the last.
    pub(super) fn unpack(&mut self, signal: CallSignal) -> Option<Signal> {
        match signal {
            CallSignal::Description { revision, .. } if revision <= self.newest => None,
            CallSignal::Description { kind, revision, sdp, .. } => {
                self.newest = revision;
                let kind = match kind {
                    WireKind::Offer => DescriptionKind::Offer,
                    WireKind::Answer => DescriptionKind::Answer,
                };
                Some(Signal::Description { kind, sdp: sdp.into() })
            }
            CallSignal::Candidate { candidate, sdp_mid, sdp_mline_index, generation } => {
                Some(Signal::Candidate {
                    candidate: candidate.into(),
                    sdp_mid: sdp_mid.map(Into::into),
                    sdp_mline_index,
                    ufrag: Some(generation.into()),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(ufrag: &str) -> Signal {
        Signal::Description { kind: DescriptionKind::Offer, sdp: format!("v=0\r\na=ice-ufrag:{ufrag}\r\n") }
    }

    #[test]
    fn what_is_packed_is_unpacked_as_it_was() {
        let candidate = Signal::Candidate {
            candidate: "candidate:1 1 udp 2130706431 192.0.2.7 50123 typ host".into(),
            sdp_mid: Some("0".into()),
            sdp_mline_index: Some(0),
            ufrag: Some("abcd".into()),
        };
        let (mut out, mut into) = (Outgoing::default(), Incoming::default());
        for signal in [offer("abcd"), candidate, offer("efgh")] {
            let packed = out.pack(signal.clone()).unwrap();
            assert_eq!(into.unpack(packed), Some(signal));
        }
    }

    #[test]
    fn descriptions_that_come_late_are_dropped() {
        let (mut out, mut into) = (Outgoing::default(), Incoming::default());
        let (first, second) = (out.pack(offer("abcd")).unwrap(), out.pack(offer("efgh")).unwrap());
        assert!(into.unpack(second.clone()).is_some());
        assert_eq!((into.unpack(first), into.unpack(second)), (None, None));
    }

    #[test]
    fn a_signal_without_a_generation_is_not_sent() {
        let signal = Signal::Description { kind: DescriptionKind::Offer, sdp: "v=0\r\n".into() };
        assert!(matches!(Outgoing::default().pack(signal), Err(WireError::NoGeneration)));
    }
}
