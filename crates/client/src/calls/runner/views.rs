//! Those who send pictures are told how they are shown.

use std::time::Instant;

use super::Runner;
use crate::calls::active::Active;

impl Runner {
    /// Tells everybody how their pictures are shown, as far as the window has said so. The machines know what is news, and to
    /// whom: each knows its legs, and ignores those of the other.
    pub(super) async fn tell_views(&mut self) {
        let Some((shown, view)) = self.active.as_mut().and_then(Active::view) else { return };
        for peer in self.legs.keys().copied() {
            // There is one picture in the window: nobody sees what the others send.
            let view = view.filter(|_| peer == shown);
            self.room.iter_mut().for_each(|room| room.set_view(peer, view));
            // Where there is no call there is nobody to tell.
            let _ = self.machine.command(ahoy_call::Command::SetView { peer, view }, Instant::now());
        }
        self.carry_out().await;
    }
}
