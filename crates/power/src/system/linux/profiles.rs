//! The power profile of the system, and whether the machine is hot: power-profiles-daemon, or tuned-ppd in its place, over
//! D-Bus.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;
use zbus::Connection;
use zbus::connection;
use zbus::proxy::{self, CacheProperties, MethodFlags, Proxy};
use zbus::zvariant::OwnedValue;

/// A service, which has one object: its name, that of its interface as well, and where the object is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
}

/// From version 0.20 (2024) of power-profiles-daemon on.
pub(super) const PROFILES: Service =
    Service { name: "org.freedesktop.UPower.PowerProfiles", path: "/org/freedesktop/UPower/PowerProfiles" };
/// Before that, and beside it since.
pub(super) const LEGACY: Service =
    Service { name: "net.hadess.PowerProfiles", path: "/net/hadess/PowerProfiles" };

/// A bus on this machine answers within milliseconds; one that does not is not waited for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// What the service says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) saver: bool,
    pub(super) hot: bool,
}

impl Profile {
    /// Reads `ActiveProfile` and `PerformanceDegraded`, which is empty, or says why the machine is slower than it could be:
    /// because it lies on somebody's lap, or is hot.
    fn of(properties: &HashMap<String, OwnedValue>) -> Self {
        let says = |name: &str, text: &str| {
            properties.get(name).and_then(|value| <&str>::try_from(value).ok()) == Some(text)
        };
        Self {
            saver: says("ActiveProfile", "power-saver"),
            hot: says("PerformanceDegraded", "high-operating-temperature"),
        }
    }
}

/// Asks the service, for as long as one likes.
pub(super) struct Profiles {
    /// The system's bus without one.
    address: Option<String>,
    /// Kept from one question to the next.
    connection: Option<Connection>,
    /// Whether it was said that there is no service.
    missed: bool,
}

impl Profiles {
    pub(super) fn of_the_system() -> Self {
        Self { address: None, connection: None, missed: false }
    }

    #[cfg(test)]
    pub(super) fn on(address: &str) -> Self {
        Self { address: Some(address.to_owned()), ..Self::of_the_system() }
    }

    /// How it is now. Where nobody can be asked no power is saved.
    pub(super) async fn read(&mut self) -> Profile {
        let missing = match timeout(ANSWERS_WITHIN, self.ask()).await {
            Ok(Ok(Some(profile))) => return profile,
            Ok(Ok(None)) => "no such service runs".to_owned(),
            Ok(Err(error)) => {
                self.connection = None;
                error.to_string()
            }
            Err(_) => {
                self.connection = None;
                "it does not answer".to_owned()
            }
        };
        if !std::mem::replace(&mut self.missed, true) {
            tracing::debug!(%missing, "the system's power profile is not known");
        }
        Profile::default()
    }

    /// `None` where no service runs.
    async fn ask(&mut self) -> zbus::Result<Option<Profile>> {
        let bus = match &self.connection {
            Some(bus) => bus.clone(),
            None => {
                let builder = match self.address.as_deref() {
                    Some(address) => connection::Builder::address(address)?,
                    None => connection::Builder::system()?,
                };
                let bus = builder.build().await?;
                self.connection.insert(bus).clone()
            }
        };
        for service in [PROFILES, LEGACY] {
            match properties(&bus, service).await {
                Ok(properties) => return Ok(Some(Profile::of(&properties))),
                // Nobody has that name, or one may not ask.
                Err(zbus::Error::MethodError(..) | zbus::Error::FDO(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// All properties of a service that runs. None is started: one that nobody has started has set no profile.
async fn properties(bus: &Connection, service: Service) -> zbus::Result<HashMap<String, OwnedValue>> {
    let object: Proxy<'_> = proxy::Builder::new(bus)
        .destination(service.name)?
        .path(service.path)?
        .interface("org.freedesktop.DBus.Properties")?
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let answer = object.call_with_flags("GetAll", MethodFlags::NoAutoStart.into(), &service.name).await?;
    answer.ok_or(zbus::Error::InvalidReply)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use ahoy_testkit::lab::SessionBus;
    use zbus::object_server::Interface;

    use super::*;

    /// A power-profiles-daemon. Clones are the same one.
    #[derive(Clone)]
    pub(in super::super) struct Daemon(Arc<Mutex<(&'static str, &'static str)>>);

    impl Daemon {
        pub(in super::super) fn in_profile(profile: &'static str) -> Self {
            Self(Arc::new(Mutex::new((profile, ""))))
        }

        fn change(&self, profile: &'static str, degraded: &'static str) {
            *self.0.lock().unwrap() = (profile, degraded);
        }
    }

    #[zbus::interface(name = "org.freedesktop.UPower.PowerProfiles")]
    impl Daemon {
        #[zbus(property)]
        fn active_profile(&self) -> String {
            self.0.lock().unwrap().0.to_owned()
        }

        #[zbus(property)]
        fn performance_degraded(&self) -> String {
            self.0.lock().unwrap().1.to_owned()
        }
    }

    /// One of before 2024, which knows no degradation.
    struct LegacyDaemon(&'static str);

    #[zbus::interface(name = "net.hadess.PowerProfiles")]
    impl LegacyDaemon {
        #[zbus(property)]
        fn active_profile(&self) -> String {
            self.0.to_owned()
        }
    }

    /// A service of another kind in its place.
    struct Stranger;

    #[zbus::interface(name = "org.freedesktop.UPower.PowerProfiles")]
    impl Stranger {
        #[zbus(property)]
        fn active_profile(&self) -> u32 {
            7
        }
    }

    /// Has a service on the bus until the value is dropped.
    pub(in super::super) async fn serve(
        bus: &SessionBus,
        service: Service,
        daemon: impl Interface,
    ) -> Connection {
        let builder = connection::Builder::address(bus.address()).unwrap().name(service.name).unwrap();
        builder.serve_at(service.path, daemon).unwrap().build().await.unwrap()
    }

    fn profile(saver: bool, hot: bool) -> Profile {
        Profile { saver, hot }
    }

    #[tokio::test]
    async fn the_profile_is_followed() {
        let bus = SessionBus::start().unwrap();
        let daemon = Daemon::in_profile("balanced");
        let _served = serve(&bus, PROFILES, daemon.clone()).await;
        let mut profiles = Profiles::on(bus.address());
        assert_eq!(profiles.read().await, profile(false, false));
        daemon.change("power-saver", "");
        assert_eq!(profiles.read().await, profile(true, false));
        daemon.change("performance", "high-operating-temperature");
        assert_eq!(profiles.read().await, profile(false, true));
        daemon.change("performance", "lap-detected");
        assert_eq!(profiles.read().await, profile(false, false));
    }

    #[tokio::test]
    async fn an_older_service_is_found_by_its_other_name() {
        let bus = SessionBus::start().unwrap();
        let _served = serve(&bus, LEGACY, LegacyDaemon("power-saver")).await;
        assert_eq!(Profiles::on(bus.address()).read().await, profile(true, false));
    }

    #[tokio::test]
    async fn a_service_that_comes_later_is_found() {
        let bus = SessionBus::start().unwrap();
        let mut profiles = Profiles::on(bus.address());
        assert_eq!(profiles.read().await, profile(false, false));
        assert!(profiles.missed && profiles.connection.is_some(), "the bus is there");
        let _served = serve(&bus, PROFILES, Daemon::in_profile("power-saver")).await;
        assert_eq!(profiles.read().await, profile(true, false));
    }

    #[tokio::test]
    async fn without_a_bus_nothing_is_saved() {
        let mut profiles = Profiles::on("unix:path=/nonexistent/bus");
        for _ in 0..2 {
            assert_eq!(profiles.read().await, profile(false, false));
            assert!(profiles.connection.is_none());
        }
    }

    #[tokio::test]
    async fn a_service_that_says_something_else_is_not_believed() {
        let bus = SessionBus::start().unwrap();
        let _served = serve(&bus, PROFILES, Stranger).await;
        assert_eq!(Profiles::on(bus.address()).read().await, profile(false, false));
    }
}
