//! Refusals and JSON as HTTP has them.

use std::time::Duration;

use ahoy_signal::{ErrorCode, Refusal};
use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest body of a request, in bytes: a password, a name and a token fit several times.
const BODY_LONGEST: usize = 16 * 1024;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A refusal as an answer, with the status that goes with its code.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, &self.0);
        if let Some(ms) = self.0.retry_after_ms {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(text) => (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text)
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The body of a request, read from JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let whole = tokio::time::timeout(BODY_TIME, to_bytes(request.into_body(), BODY_LONGEST)).await;
        let whole = match whole {
            Ok(Ok(whole)) => whole,
            Ok(Err(_)) => {
                let text = format!("A request has {BODY_LONGEST} bytes at most.");
                return Err(Refusal::new(ErrorCode::MessageTooLarge, text).into());
            }
            Err(_) => {
                return Err(Refusal::new(ErrorCode::BadMessage, "The body took too long to come.").into());
            }
        };
        let read = serde_json::from_slice(&whole);
        read.map(Self).map_err(|error| Refusal::new(ErrorCode::BadMessage, error.to_string()).into())
    }
}

/// What is asked for is not there.
pub(crate) async fn nothing_there() -> Response {
    let refusal = Refusal::new(ErrorCode::UnknownType, "There is nothing at this path.");
    json(StatusCode::NOT_FOUND, &refusal)
}

/// What is there can't be asked that way.
pub(crate) async fn another_method() -> Response {
    let refusal = Refusal::new(ErrorCode::UnknownType, "This path knows other methods.");
    json(StatusCode::METHOD_NOT_ALLOWED, &refusal)
}
