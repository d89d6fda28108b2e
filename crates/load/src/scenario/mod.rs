//! What is asked of a server.

mod flood;
mod idle;
mod malformed;
mod ramp;
mod slow;
mod steady;
mod storm;

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::cores::Cores;
use crate::crew::Manifest;
use crate::drive::Load;
use crate::error::LoadError;
use crate::fleet::Dialect;
use crate::report::Report;
use crate::schedule::{Spacing, Speakers};

/// A scenario.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Scenario {
    /// 1,000 users in rooms of 10 at a steady rate
    Baseline {
        /// Seconds measured
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// The same for five minutes, with the server's memory before and after
    Soak {
        /// Seconds measured
        #[arg(long, default_value_t = 300)]
        seconds: u64,
    },
    /// The highest rate at which 99 % of all deliveries take less than 30 ms
    Ramp {
        /// Seconds of each step
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Connections that do nothing, and the server's memory for each
    Idle {
        /// How many
        #[arg(long, default_value_t = 19_000)]
        connections: usize,
        /// Bring them into rooms
        #[arg(long)]
        in_rooms: bool,
    },
    /// All connections break at once, and all come back at once
    Storm,
    /// One user stops reading: what others notice of it
    Slow {
        /// Seconds without, and then with, the slow one
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// One user sends as much as it can: what others notice of it
    Flood {
        /// Seconds without, and then with, the flood
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Messages a second
        #[arg(long, default_value_t = 5_000.0)]
        flood: f64,
    },
    /// Strangers send what is no message of the protocol, or no WebSocket: what others notice of it
    Malformed {
        /// Messages of strangers
        #[arg(long, default_value_t = 1_000_000)]
        messages: u64,
        /// Of them a second
        #[arg(long, default_value_t = 10_000.0)]
        pace: f64,
    },
}

/// What scenarios have in common.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Setting {
    /// Users
    #[arg(long, default_value_t = 1_000, global = true)]
    pub(crate) users: usize,
    /// Users in a room
    #[arg(long, default_value_t = 10, global = true)]
    pub(crate) room_size: usize,
    /// Requests a second of all users together; where the ramp begins
    #[arg(long, default_value_t = 5_000.0, global = true)]
    pub(crate) rate: f64,
    /// How requests lie in time
    #[arg(long, default_value = "poisson", global = true)]
    pub(crate) spacing: Spacing,
    /// The same seed gives the same schedule
    #[arg(long, default_value_t = 1, global = true)]
    pub(crate) seed: u64,
    /// What is put under load
    #[arg(long, default_value = "server", global = true)]
    pub(crate) target: TargetName,
    #[command(flatten)]
    pub(crate) cores: Cores,
}

/// What is put under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetName {
    /// ahoy-server, beside this program
    Server,
    /// A plain axum hub in its place, for comparison
    Hub,
}

impl Setting {
    fn dialect(&self) -> Dialect {
        match self.target {
            TargetName::Server => Dialect::Ahoy,
            TargetName::Hub => Dialect::Hub,
        }
    }

    fn manifest(&self) -> Manifest {
        Manifest::new(self.users, self.room_size)
    }

    fn load(&self, rate: f64, warm_up: u64, seconds: u64) -> Load {
        Load {
            rate,
            spacing: self.spacing,
            seed: self.seed,
            speakers: Speakers::alike(self.users),
            warm_up: Duration::from_secs(warm_up),
            time: Duration::from_secs(seconds),
        }
    }

    fn report(&self, scenario: &'static str) -> Report {
        let target = match self.target {
            TargetName::Server => "server",
            TargetName::Hub => "hub",
        };
        Report { scenario, target, valid: true, invalid: Vec::new(), faults: Vec::new(), figures: Vec::new() }
    }
}

impl Scenario {
    pub(crate) fn run(self, setting: &Setting) -> Result<Report, LoadError> {
        let only_server =
            !matches!(self, Scenario::Baseline { .. } | Scenario::Soak { .. } | Scenario::Ramp { .. })
                && !matches!(self, Scenario::Idle { .. });
        if only_server && setting.target == TargetName::Hub {
            return Err(LoadError::Server(
                "is what this scenario is for: a hub resumes nothing and limits nobody".into(),
            ));
        }
        match self {
            Scenario::Baseline { seconds } => steady::run(setting, "baseline", seconds),
            Scenario::Soak { seconds } => steady::run(setting, "soak", seconds),
            Scenario::Ramp { seconds } => ramp::run(setting, seconds),
            Scenario::Idle { connections, in_rooms } => idle::run(setting, connections, in_rooms),
            Scenario::Storm => storm::run(setting),
            Scenario::Slow { seconds } => slow::run(setting, seconds),
            Scenario::Flood { seconds, flood } => flood::run(setting, seconds, flood),
            Scenario::Malformed { messages, pace } => malformed::run(setting, messages, pace),
        }
    }
}
