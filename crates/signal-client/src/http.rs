//! What is asked over HTTP: accounts, devices, invites.

use std::sync::Arc;
use std::time::Duration;

use ahoy_signal::account::{
    Audit, ChangePassword, Confirm, Devices, GuestSignIn, Invite, Invites, NewInvite, Recover, RecoveryCodes,
    Refresh, SignIn, SignUp, SignedUp, TokenGrant,
};
use ahoy_signal::{AccessToken, DeviceId, InviteId, Refusal, RoomId, paths};
use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address::ServerUrl;
use crate::reach::ReachError;
use crate::trust::{Trust, TrustError};

/// Longest answer that is read, in bytes. The export of an account with everything in it has some hundred kilobytes.
const ANSWER_LONGEST: usize = 8 * 1024 * 1024;
/// How long connecting may take, with name look-up and TLS.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer may take: a server whom many sign in to at once lets them wait in line.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A server, asked over HTTP. Answers that break the protocol are [`ReachError::NotAhoy`].
#[derive(Clone, Debug)]
pub struct Http {
    server: ServerUrl,
    client: reqwest::Client,
}

impl Http {
    /// Makes ready to ask; nothing is sent yet.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn new(server: ServerUrl, trust: &Trust, agent: &str) -> Result<Self, TrustError> {
        let tls = Arc::unwrap_or_clone(trust.tls(server.is_encrypted())?);
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(agent)
            // Tokens go to the server that gave them and nowhere else.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .build()
            .map_err(|error| TrustError::System(rustls::Error::General(error.to_string())))?;
        Ok(Self { server, client })
    }

    /// The server.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Makes an account and signs in.
    ///
    /// # Errors
    /// [`ReachError`], as with everything here.
    pub async fn sign_up(&self, account: &SignUp) -> Result<SignedUp, ReachError> {
        self.read(self.post(paths::ACCOUNTS, account)).await
    }

    /// Signs in.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn sign_in(&self, credentials: &SignIn) -> Result<TokenGrant, ReachError> {
        self.read(self.post(paths::SESSIONS, credentials)).await
    }

    /// Gets into an account whose password is lost.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn recover(&self, recovery: &Recover) -> Result<TokenGrant, ReachError> {
        self.read(self.post(paths::RECOVER, recovery)).await
    }

    /// Gets the next tokens. Waits for `within` at most, because a lost answer can only be asked for again for a while.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn refresh(&self, last: &Refresh, within: Duration) -> Result<TokenGrant, ReachError> {
        self.read(self.post(paths::REFRESH, last).timeout(within)).await
    }

    /// Signs a guest in.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn guest(&self, guest: &GuestSignIn) -> Result<TokenGrant, ReachError> {
        self.read(self.post(paths::GUESTS, guest)).await
    }

    /// Signs this device out.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn sign_out(&self, token: &AccessToken) -> Result<(), ReachError> {
        self.done(self.request(Method::DELETE, paths::CURRENT_SESSION, token)).await
    }

    /// The devices that are signed in.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn devices(&self, token: &AccessToken) -> Result<Devices, ReachError> {
        self.read(self.request(Method::GET, paths::DEVICES, token)).await
    }

    /// Signs a device out.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn revoke_device(&self, token: &AccessToken, device: DeviceId) -> Result<(), ReachError> {
        let path = format!("{}/{device}", paths::DEVICES);
        self.done(self.request(Method::DELETE, &path, token)).await
    }

    /// Changes the password and signs the other devices out.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn change_password(
        &self,
        token: &AccessToken,
        change: &ChangePassword,
    ) -> Result<(), ReachError> {
        self.done(self.request(Method::POST, paths::PASSWORD, token).json(change)).await
    }

    /// Makes new recovery codes; the old ones are void.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn recovery_codes(
        &self,
        token: &AccessToken,
        confirm: &Confirm,
    ) -> Result<RecoveryCodes, ReachError> {
        self.read(self.request(Method::POST, paths::RECOVERY_CODES, token).json(confirm)).await
    }

    /// The security events of the account.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn audit(&self, token: &AccessToken) -> Result<Audit, ReachError> {
        self.read(self.request(Method::GET, paths::AUDIT, token)).await
    }

    /// Everything that is stored of the account.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn export(&self, token: &AccessToken) -> Result<serde_json::Value, ReachError> {
        self.read(self.request(Method::GET, paths::EXPORT, token)).await
    }

    /// Deletes the account and everything of it.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn delete_account(&self, token: &AccessToken, confirm: &Confirm) -> Result<(), ReachError> {
        self.done(self.request(Method::POST, paths::DELETE_ACCOUNT, token).json(confirm)).await
    }

    /// Makes an invite link.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn invite(&self, token: &AccessToken, invite: &NewInvite) -> Result<Invite, ReachError> {
        self.read(self.request(Method::POST, paths::INVITES, token).json(invite)).await
    }

    /// The invite links of a room that are good.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn invites(&self, token: &AccessToken, room: RoomId) -> Result<Invites, ReachError> {
        let request = self.request_to(Method::GET, paths::INVITES, &format!("room={room}"));
        self.read(request.bearer_auth(token.as_str())).await
    }

    /// Revokes an invite link.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn revoke_invite(&self, token: &AccessToken, invite: InviteId) -> Result<(), ReachError> {
        let path = format!("{}/{invite}", paths::INVITES);
        self.done(self.request(Method::DELETE, &path, token)).await
    }

    fn post(&self, path: &str, body: &impl Serialize) -> RequestBuilder {
        self.client.post(self.server.http(path)).json(body)
    }

    fn request(&self, method: Method, path: &str, token: &AccessToken) -> RequestBuilder {
        self.client.request(method, self.server.http(path)).bearer_auth(token.as_str())
    }

    fn request_to(&self, method: Method, path: &str, query: &str) -> RequestBuilder {
        let mut url = self.server.http(path);
        url.set_query(Some(query));
        self.client.request(method, url)
    }

    async fn done(&self, request: RequestBuilder) -> Result<(), ReachError> {
        let (status, _) = self.ask(request).await?;
        match status {
            StatusCode::NO_CONTENT => Ok(()),
            other => Err(self.not_ahoy(format!("it answers {other}"))),
        }
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ReachError> {
        let (status, body) = self.ask(request).await?;
        serde_json::from_slice(&body)
            .map_err(|_| self.not_ahoy(format!("it answers {status} with something unknown")))
    }

    /// A good answer, or the refusal that came instead.
    async fn ask(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), ReachError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = self.body(response).await?;
        if status.is_success() {
            return Ok((status, body));
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => Err(ReachError::Refused(refusal)),
            Err(_) => Err(self.not_ahoy(format!("it answers {status}"))),
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ReachError> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + part.len() > ANSWER_LONGEST {
                return Err(self.not_ahoy("its answer does not end".to_owned()));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> ReachError {
        let server = self.server.to_string();
        if error.is_timeout() {
            return ReachError::TimedOut { server };
        }
        match ReachError::of(&server, error) {
            ReachError::Unreachable { server, cause } if !error.is_connect() => {
                ReachError::BrokenOff { server, cause }
            }
            other => other,
        }
    }

    fn not_ahoy(&self, cause: String) -> ReachError {
        ReachError::NotAhoy { server: self.server.to_string(), cause }
    }
}
