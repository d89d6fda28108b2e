//! Tells when cameras, microphones and speakers come or go, without looking again and again.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
mod system;

/// Watches for devices that come or go until it is dropped, which ends its thread.
#[derive(Debug)]
pub struct DeviceWatch {
    _watch: system::Watch,
}

impl DeviceWatch {
    /// Starts to watch. `on_change` is called on the watch's own thread, several times in a row where a device is several
    /// things to the system, and sometimes although nothing has changed.
    ///
    /// `None` where the system offers no way: then whoever shows devices has to look again when it matters.
    pub fn start(on_change: impl FnMut() + Send + 'static) -> Option<Self> {
        system::Watch::start(on_change).map(|watch| Self { _watch: watch })
    }
}
