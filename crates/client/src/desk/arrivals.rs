//! Devices that come and go: the window is told, and what was missing is opened.

use std::sync::Arc;
use std::time::Duration;

use ahoy_media::hotplug::DeviceWatch;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::call::TestCall;
use super::preview::Preview;
use super::{DeskEvent, DeskListener};
use crate::devices;
use crate::loopback::CallCommand;

/// A device that is plugged in is several files and several things to the sound server, which come within this time of
/// each other.
const QUIET: Duration = Duration::from_millis(250);
/// The longest that a burst may last before it is told: a broken cable makes a device come and go without end.
const BURST: Duration = Duration::from_secs(2);

/// Watches for devices until it is dropped.
pub(super) struct Arrivals {
    watch: Option<DeviceWatch>,
    task: JoinHandle<()>,
}

impl Arrivals {
    pub(super) fn watch(
        call: Arc<Mutex<Option<TestCall>>>,
        preview: Arc<Mutex<Option<Preview>>>,
        listener: DeskListener,
    ) -> Self {
        let (changed, mut changes) = mpsc::channel(1);
        let watch = DeviceWatch::start(move || {
            // One change that waits stands for all that come meanwhile.
            let _ = changed.try_send(());
        });
        let task = tokio::spawn(async move {
            while changes.recv().await.is_some() {
                let settled = async { while let Ok(Some(())) = timeout(QUIET, changes.recv()).await {} };
                // Either way it is told.
                let _ = timeout(BURST, settled).await;
                listener(DeskEvent::Devices(devices::list_in_background().await));
                retry(&call, &preview).await;
            }
        });
        Self { watch, task }
    }

    /// Whether the system tells.
    pub(super) fn are_noticed(&self) -> bool {
        self.watch.is_some()
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Tries again to open what could not be opened.
pub(super) async fn retry(call: &Mutex<Option<TestCall>>, preview: &Mutex<Option<Preview>>) {
    if let Some(call) = call.lock().await.as_mut() {
        call.tell(CallCommand::Retry).await;
    }
    if let Some(preview) = preview.lock().await.as_ref() {
        preview.retry();
    }
}
