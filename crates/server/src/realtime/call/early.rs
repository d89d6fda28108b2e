//! What a caller says before the call is answered.

use ahoy_signal::{CallSignal, IceGeneration, limits};

/// Keeps the newest offer and the candidates that belong to it, also those that overtook it.
#[derive(Debug, Default)]
pub(super) struct EarlySignals {
    offer: Option<(u32, IceGeneration, CallSignal)>,
    candidates: Vec<(IceGeneration, CallSignal)>,
}

impl EarlySignals {
    /// Keeps a signal, unless it is stale or too many wait.
    pub(super) fn keep(&mut self, signal: CallSignal) {
        match &signal {
            CallSignal::Description { revision, generation, .. } => {
                let (revision, generation) = (*revision, generation.clone());
                match &self.offer {
                    Some((newest, _, _)) if revision <= *newest => {}
                    Some((_, replaced, _)) => {
                        let replaced = replaced.clone();
                        self.candidates.retain(|(of, _)| *of == generation || *of != replaced);
                        self.offer = Some((revision, generation, signal));
                    }
                    None => self.offer = Some((revision, generation, signal)),
                }
            }
            CallSignal::Candidate { generation, .. } => {
                if self.candidates.len() < limits::EARLY_CANDIDATES_MOST {
                    self.candidates.push((generation.clone(), signal));
                }
            }
        }
    }

    /// What the other side is told once the call is answered: the offer, then its candidates.
    pub(super) fn into_signals(self) -> impl Iterator<Item = CallSignal> {
        let (generation, offer) = match self.offer {
            Some((_, generation, offer)) => (Some(generation), Some(offer)),
            None => (None, None),
        };
        // Without an offer they may still belong to the one that comes.
        let belongs = move |of: &IceGeneration| generation.as_ref().is_none_or(|generation| generation == of);
        let candidates = self.candidates.into_iter().filter(move |(of, _)| belongs(of));
        offer.into_iter().chain(candidates.map(|(_, candidate)| candidate))
    }
}
