//! Passwords: argon2id on threads of their own, a few at a time, so that a flood of sign-ins takes neither the processors
//! nor the memory that calls need.

use std::sync::Arc;

use ahoy_signal::{ErrorCode, Password, Refusal};
use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;

/// When someone whom the queue had no place for may try again, in milliseconds.
const RETRY_MS: u64 = 2_000;

/// Costs of a hash, and how many are made at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCosts {
    /// Memory of one, in KiB.
    pub memory_kib: u32,
    /// How often it goes over its memory.
    pub passes: u32,
    /// How many are made at once.
    pub workers: usize,
    /// How many wait for their turn; more are refused (`unavailable`) at once.
    pub queue: usize,
}

/// Why passwords can't be checked at all.
#[derive(Debug, thiserror::Error)]
#[error("these costs of argon2 don't work: {0}")]
pub struct CostsError(String);

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    workers: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    nobodys: Arc<str>,
}

/// What a check showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The password is right.
    Right,
    /// It is, and its hash was made with other costs than today's.
    RightButOutdated,
    /// It is not.
    Wrong,
}

impl Passwords {
    /// With these costs.
    ///
    /// # Errors
    /// [`CostsError`] where argon2 can't work with them.
    pub fn new(costs: &PasswordCosts) -> Result<Self, CostsError> {
        let params = Params::new(costs.memory_kib, costs.passes, 1, None)
            .map_err(|error| CostsError(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        // Checked where there is no account, so that the answer takes as long as if there were one.
        let nobodys: PasswordHash =
            argon2.hash_password(b"nobody's").map_err(|error| CostsError(error.to_string()))?;
        Ok(Self {
            argon2,
            workers: Arc::new(Semaphore::new(costs.workers.max(1))),
            queue: Arc::new(Semaphore::new(costs.workers.max(1) + costs.queue)),
            nobodys: nobodys.to_string().into(),
        })
    }

    /// Runs `work` when it is its turn. The turn ends with the work, also when nobody waits for it any more.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let busy = || {
            metrics::counter!("ahoy_password_queue_full_total").increment(1);
            let mut refusal = Refusal::new(
                ErrorCode::Unavailable,
                "Too many people sign in at once: try again in a moment.",
            );
            refusal.retry_after_ms = Some(RETRY_MS);
            refusal
        };
        let place = self.queue.clone().try_acquire_owned().map_err(|_| busy())?;
        let turn = self.workers.clone().acquire_owned().await.map_err(|_| busy())?;
        let argon2 = self.argon2.clone();
        let done = tokio::task::spawn_blocking(move || {
            let running = metrics::gauge!("ahoy_password_checks_running");
            running.increment(1.0);
            let result = work(&argon2);
            running.decrement(1.0);
            drop((turn, place));
            result
        });
        done.await.map_err(|_| {
            tracing::error!("hashing a password ended unexpectedly");
            Refusal::new(ErrorCode::Internal, "The server made a mistake: its log says more.")
        })
    }

    /// The hash of a new password, in PHC's string format.
    ///
    /// # Errors
    /// `unavailable` where too many wait already.
    pub async fn hash(&self, password: Password) -> Result<String, Refusal> {
        let hash = self
            .in_turn(move |argon2| {
                let hash: Result<PasswordHash, _> = argon2.hash_password(password.as_str().as_bytes());
                hash.map(|hash| hash.to_string())
            })
            .await?;
        hash.map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            Refusal::new(ErrorCode::Internal, "The server made a mistake: its log says more.")
        })
    }

    /// Checks a password against a hash; without one the answer is no, after as much work.
    ///
    /// # Errors
    /// `unavailable` where too many wait already.
    pub async fn check(&self, password: Password, hash: Option<String>) -> Result<Checked, Refusal> {
        let nobodys = self.nobodys.clone();
        self.in_turn(move |argon2| {
            let known = hash.is_some();
            let Ok(hash) = PasswordHash::new(hash.as_deref().unwrap_or(&nobodys)) else {
                return Checked::Wrong;
            };
            let right = argon2.verify_password(password.as_str().as_bytes(), &hash).is_ok();
            let current = Params::try_from(&hash).is_ok_and(|params| {
                params.m_cost() == argon2.params().m_cost() && params.t_cost() == argon2.params().t_cost()
            });
            match (known && right, current) {
                (true, true) => Checked::Right,
                (true, false) => Checked::RightButOutdated,
                (false, _) => Checked::Wrong,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> PasswordCosts {
        PasswordCosts { memory_kib: 64, passes: 1, workers: 1, queue: 1 }
    }

    fn password(text: &str) -> Password {
        Password::new(text).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_right_or_wrong() {
        let passwords = Passwords::new(&costs()).unwrap();
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        let check = |text: &str, hash: Option<String>| passwords.check(password(text), hash);
        assert_eq!(check("correct horse", Some(hash.clone())).await, Ok(Checked::Right));
        assert_eq!(check("wrong horse", Some(hash.clone())).await, Ok(Checked::Wrong));
        assert_eq!(check("nobody's", None).await, Ok(Checked::Wrong));
        let dearer = Passwords::new(&PasswordCosts { passes: 2, ..costs() }).unwrap();
        assert_eq!(dearer.check(password("correct horse"), Some(hash)).await, Ok(Checked::RightButOutdated));
    }

    #[tokio::test]
    async fn never_more_run_at_once_than_may_and_those_who_find_the_queue_full_are_refused() {
        let passwords = Passwords::new(&PasswordCosts { workers: 2, queue: 3, ..costs() }).unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut tasks = Vec::new();
        let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..5 {
            let (passwords, held, running, started) =
                (passwords.clone(), held.clone(), running.clone(), started.clone());
            tasks.push(tokio::spawn(async move {
                passwords
                    .in_turn(move |_| {
                        let now = running.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                        started.send(()).unwrap();
                        held.lock().unwrap().recv().unwrap();
                        running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        now
                    })
                    .await
            }));
        }
        starts.recv().await.unwrap();
        starts.recv().await.unwrap();
        while passwords.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = passwords.hash(password("one too many")).await.unwrap_err();
        assert_eq!((refused.code, refused.retry_after_ms), (ErrorCode::Unavailable, Some(RETRY_MS)));
        for _ in 0..5 {
            release.send(()).unwrap();
        }
        for task in tasks {
            let at_once = task.await.unwrap().unwrap();
            assert!(at_once <= 2, "{at_once} at once");
        }
    }
}
