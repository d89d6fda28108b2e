//! Who runs where: the server on one processor, the load on another, so that "one core" is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::error::LoadError;

/// Which processor is whose.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Cores {
    /// The processor that the server runs on, and nothing else of ours
    #[arg(long, default_value_t = 0)]
    pub(crate) server_core: usize,
    /// The processor that makes the load
    #[arg(long, default_value_t = 1)]
    pub(crate) load_core: usize,
}

impl Cores {
    /// Does something on the server's processor: what it starts stays there. Goes on with the load's.
    pub(crate) fn on_servers<T>(self, start: impl FnOnce() -> T) -> Result<T, LoadError> {
        stay_on(self.server_core)?;
        let started = start();
        stay_on(self.load_core)?;
        Ok(started)
    }
}

fn stay_on(core: usize) -> Result<(), LoadError> {
    let mut set = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return Err(LoadError::Server(format!("can't run on processor {core}: there is none")));
    }
    set.set(core);
    sched_setaffinity(None, &set).map_err(LoadError::system(format!("processor {core} can't be used")))
}

/// Lets this process, and what it starts, open as many files as the system allows.
pub(crate) fn open_many_files() -> Result<(), LoadError> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(LoadError::system("the limit of files"))
}
