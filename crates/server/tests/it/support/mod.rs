//! Servers to talk to, over SQLite and PostgreSQL alike.

pub(crate) mod kernel;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod socket;

use std::net::SocketAddr;

use ahoy_server::config::Config;
use ahoy_server::server::Server;
use ahoy_signal::account::{SignedUp, TokenGrant};
use ahoy_signal::{ErrorCode, Refusal, paths};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tempfile::TempDir;

use self::postgres::Postgres;

/// A password that all test accounts share.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Where a server keeps its things: it can be started there again and again.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    postgres: Option<Postgres>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), postgres: None }
    }

    pub(crate) fn postgres() -> Self {
        Self { postgres: Some(Postgres::start()), ..Self::sqlite() }
    }

    /// A configuration for quick tests: cheap passwords, no limits in the way.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::defaults().expect("defaults");
        config.data_dir = self.folder.path().join("data");
        config.http.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.auth.argon2_memory_kib = 64;
        config.auth.argon2_passes = 1;
        config.limits.strangers_per_minute = 100_000;
        config.limits.normal_per_minute = 100_000;
        if let Some(postgres) = &self.postgres {
            config.database.url = postgres.url();
        }
        config
    }

    /// Where its database is, if it is not in the folder.
    pub(crate) fn database(&self) -> Option<String> {
        self.postgres.as_ref().map(Postgres::url)
    }

    pub(crate) async fn start(&self) -> Running {
        Running::start(self.config()).await
    }
}

/// A server that runs, and a client for it.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) http: reqwest::Client,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body of an answer that is not a refusal.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> T {
        let text = String::from_utf8_lossy(&self.body);
        assert!(self.status.is_success(), "{}: {text}", self.status);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// That nothing was to be said.
    pub(crate) fn done(&self) {
        assert_eq!(self.status, StatusCode::NO_CONTENT, "{}", String::from_utf8_lossy(&self.body));
    }

    /// The refusal, with its status checked.
    pub(crate) fn refusal(&self) -> Refusal {
        let text = String::from_utf8_lossy(&self.body);
        let refusal: Refusal = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {text}", self.status));
        assert_eq!(self.status.as_u16(), refusal.code.http_status(), "{text}");
        refusal
    }

    /// Its code.
    pub(crate) fn refused(&self) -> ErrorCode {
        self.refusal().code
    }
}

impl Running {
    pub(crate) async fn start(config: Config) -> Self {
        // Another test of this program may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Server::start(config).await.expect("the server starts");
        Self { server, http: reqwest::Client::builder().no_proxy().build().expect("a client") }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr())
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        Answer { status: response.status(), body: response.bytes().await.expect("a body").to_vec() }
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        who: Option<&TokenGrant>,
        body: Option<&impl Serialize>,
    ) -> Answer {
        let mut request = self.http.request(method, self.url(path));
        if let Some(grant) = who {
            request = request.bearer_auth(grant.access_token.as_str());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(request).await
    }

    pub(crate) async fn get(&self, path: &str, who: &TokenGrant) -> Answer {
        self.ask(Method::GET, path, Some(who), None::<&()>).await
    }

    pub(crate) async fn delete(&self, path: &str, who: &TokenGrant) -> Answer {
        self.ask(Method::DELETE, path, Some(who), None::<&()>).await
    }

    pub(crate) async fn post(&self, path: &str, who: Option<&TokenGrant>, body: &impl Serialize) -> Answer {
        self.ask(Method::POST, path, who, Some(body)).await
    }

    pub(crate) async fn sign_up(&self, handle: &str) -> SignedUp {
        let asked = json!({
            "handle": handle, "name": format!("{handle} the tester"), "password": PASSWORD, "device_name": "first",
        });
        self.post(paths::ACCOUNTS, None, &asked).await.read()
    }

    pub(crate) async fn try_sign_in(&self, handle: &str, password: &str) -> Answer {
        let asked = json!({"handle": handle, "password": password, "device_name": "another"});
        self.post(paths::SESSIONS, None, &asked).await
    }

    pub(crate) async fn sign_in(&self, handle: &str) -> TokenGrant {
        self.try_sign_in(handle, PASSWORD).await.read()
    }

    pub(crate) async fn try_refresh(&self, grant: &TokenGrant) -> Answer {
        self.post(paths::REFRESH, None, &json!({"refresh_token": grant.refresh_token})).await
    }

    pub(crate) async fn refresh(&self, grant: &TokenGrant) -> TokenGrant {
        self.try_refresh(grant).await.read()
    }
}

/// Makes of each behaviour a test over SQLite and one over PostgreSQL.
macro_rules! on_both_databases {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        mod sqlite {
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::support::Place::sqlite()).await;
            })*
        }

        mod needs_postgres {
            $($(#[$doc])* #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(crate::support::Place::postgres()).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;
