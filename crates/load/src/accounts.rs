//! Users with accounts, signed up over HTTP as people are.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ahoy_signal::account::{Refresh, SignUp, SignedUp, TokenGrant};
use ahoy_signal::{AccessToken, Handle, Name, Password, RefreshToken, TextError, paths};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::LoadError;
use crate::target::Target;

/// Requests at once. The server checks passwords one or two at a time.
const AT_ONCE: usize = 4;
const LIMIT: Duration = Duration::from_secs(30);

/// A user who has signed up.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// Opens one connection.
    pub(crate) access: AccessToken,
}

/// Signs users up by their numbers; makes partners of them if told to.
pub(crate) fn sign_up(
    target: &Target,
    users: Range<usize>,
    partners: bool,
) -> Result<Vec<Account>, LoadError> {
    let next = AtomicUsize::new(users.start);
    let worker = || {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(LIMIT))
            .build()
            .new_agent();
        let mut made = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= users.end {
                return Ok(made);
            }
            made.push((number, one(&agent, target, number, partners)?));
        }
    };
    let workers: Vec<_> = thread::scope(|scope| {
        let started: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        started.into_iter().map(|worker| worker.join()).collect()
    });
    let mut made = Vec::with_capacity(users.len());
    for worker in workers {
        made.extend(worker.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
    }
    made.sort_by_key(|(number, _)| *number);
    Ok(made.into_iter().map(|(_, account)| account).collect())
}

fn one(agent: &ureq::Agent, target: &Target, number: usize, partner: bool) -> Result<Account, LoadError> {
    let wrong = |error: TextError| LoadError::Http { what: "signing up", answer: error.to_string() };
    let handle = Handle::new(format!("load-{number}")).map_err(wrong)?;
    let ask = SignUp {
        handle: handle.clone(),
        name: Name::new(format!("Load {number}")).map_err(wrong)?,
        password: Password::new(format!("the password of {number}")).map_err(wrong)?,
        device_name: Name::new("ahoy-load").map_err(wrong)?,
        sign_up_code: None,
    };
    let signed_up: SignedUp = post(agent, target, paths::ACCOUNTS, &ask, "signing up")?;
    if !partner {
        return Ok(Account { access: signed_up.grant.access_token });
    }
    target.make_partner(&handle)?;
    Ok(Account { access: refresh(agent, target, signed_up.grant.refresh_token)?.access_token })
}

fn refresh(agent: &ureq::Agent, target: &Target, token: RefreshToken) -> Result<TokenGrant, LoadError> {
    post(agent, target, paths::REFRESH, &Refresh { refresh_token: token }, "refreshing")
}

fn post<T: DeserializeOwned>(
    agent: &ureq::Agent,
    target: &Target,
    path: &str,
    body: &impl Serialize,
    what: &'static str,
) -> Result<T, LoadError> {
    let failed = |answer: String| LoadError::Http { what, answer };
    let sent = agent.post(format!("http://{}{path}", target.address)).send_json(body);
    let mut response = sent.map_err(|error| failed(error.to_string()))?;
    if !response.status().is_success() {
        let said = response.body_mut().read_to_string().unwrap_or_default();
        return Err(failed(format!("{} {said}", response.status())));
    }
    response.body_mut().read_json().map_err(|error| failed(error.to_string()))
}
