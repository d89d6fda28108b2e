//! The client's I/O against the real server: TLS, lost answers, a whole session.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ahoy_signal::account::{SignIn, SignUp, TokenGrant};
use ahoy_signal::{ClientInfo, ClientMessage, Handle, Name, Password, ServerMessage};
use ahoy_signal_client::session::{EndReason, PATIENCE};
use ahoy_signal_client::{
    Client, ClientEvent, ClientOptions, Http, MemoryVault, PlainHttp, ReachError, RefreshVault as _,
    ServerUrl, TokenKeeper, Trust,
};
use ahoy_testkit::SignalingServer;
use ahoy_testkit::signaling_server::Config;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

const AGENT: &str = "test/1";

fn server_with(change: impl FnOnce(&mut Config)) -> SignalingServer {
    SignalingServer::start_with(|config| {
        (config.auth.argon2_memory_kib, config.auth.argon2_passes) = (64, 1);
        change(config);
    })
    .expect("the server starts")
}

fn url(text: &str) -> ServerUrl {
    ServerUrl::parse(text, PlainHttp::LoopbackOnly).expect("an address")
}

fn http(text: &str) -> Http {
    Http::new(url(text), &Trust::system(), AGENT).expect("nothing needs certificates")
}

fn ada() -> SignUp {
    SignUp {
        handle: Handle::new("ada").expect("it keeps to the rules"),
        name: Name::new("Ada").expect("it keeps to the rules"),
        password: Password::new("correct horse battery").expect("it keeps to the rules"),
        device_name: Name::new("test").expect("it keeps to the rules"),
        sign_up_code: None,
    }
}

async fn signed_up(http: &Http) -> TokenGrant {
    http.sign_up(&ada()).await.expect("she signs up").grant
}

/// Stands between client and server, and breaks the connection instead of passing on an answer, the first `lost` times.
struct Lossy {
    address: SocketAddr,
    answers: Arc<AtomicUsize>,
}

impl Lossy {
    fn before(server: &str, lost: usize) -> Self {
        let server: SocketAddr = server.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let answers = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&answers);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let upstream = TcpStream::connect(server).expect("the server is there");
                pass(client, upstream, Arc::clone(&counted), lost);
            }
        });
        Self { address, answers }
    }
}

fn pass(client: TcpStream, upstream: TcpStream, answers: Arc<AtomicUsize>, lost: usize) {
    let (mut from_client, mut to_server) =
        (client.try_clone().expect("a socket"), upstream.try_clone().expect("a socket"));
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let (mut client, mut upstream) = (client, upstream);
        let mut part = [0; 16 * 1024];
        while let Ok(length) = upstream.read(&mut part) {
            // The server has done it; the client never hears of it.
            if length == 0 || answers.fetch_add(1, Ordering::SeqCst) < lost {
                break;
            }
            if client.write_all(&part[..length]).is_err() {
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = upstream.shutdown(Shutdown::Both);
    });
}

#[tokio::test]
async fn a_lost_answer_to_a_refresh_signs_nobody_out() {
    let server = server_with(|_| {});
    let grant = signed_up(&http(server.url())).await;
    let before = grant.refresh_token.clone();
    let lossy = Lossy::before(server.url(), 2);
    let vault = MemoryVault::new(grant.refresh_token);
    let tokens = TokenKeeper::new(http(&format!("http://{}", lossy.address)), Arc::new(vault.clone()));
    let token = tokens.for_http().await.expect("it is asked for again");
    assert!(lossy.answers.load(Ordering::SeqCst) > 2, "answers were lost");
    let kept = vault.open().await.unwrap().load().await.unwrap().expect("a token is kept");
    assert_ne!(kept, before);
    let devices = http(server.url()).devices(&token).await.expect("the device is still signed in");
    assert_eq!(devices.devices.len(), 1);
    tokens.for_renewal().await.expect("the successor is good");
}

#[tokio::test]
async fn a_token_opens_one_connection_and_the_next_one_is_fresh() {
    let server = server_with(|_| {});
    let http = http(server.url());
    let grant = signed_up(&http).await;
    let vault = Arc::new(MemoryVault::new(grant.refresh_token.clone()));
    let tokens = TokenKeeper::signed_in(http, vault, grant);
    let (first, valid) = tokens.for_opening().await.unwrap();
    assert!(valid > Duration::from_secs(590), "{valid:?}");
    let (second, _) = tokens.for_opening().await.unwrap();
    assert_ne!(first, second);
    assert_eq!(tokens.for_http().await.unwrap(), second, "over HTTP it can be used again");
}

#[tokio::test]
async fn a_wrong_password_is_the_server_s_word() {
    let server = server_with(|_| {});
    let http = http(server.url());
    signed_up(&http).await;
    let wrong = SignIn {
        handle: Handle::new("ada").unwrap(),
        password: Password::new("not this one").unwrap(),
        device_name: Name::new("test").unwrap(),
    };
    let error = http.sign_in(&wrong).await.unwrap_err();
    assert!(
        matches!(&error, ReachError::Refused(refusal) if refusal.code == ahoy_signal::ErrorCode::WrongCredentials),
        "{error:?}"
    );
}

fn options(tokens: Arc<TokenKeeper>, trust: Trust) -> ClientOptions {
    let client = ClientInfo { name: "test".into(), version: "1".into() };
    ClientOptions { client, patience: PATIENCE, trust, tokens }
}

#[tokio::test]
async fn a_session_begins_asks_and_ends_in_good_order() {
    let server = server_with(|_| {});
    let http = http(server.url());
    let grant = signed_up(&http).await;
    let vault = Arc::new(MemoryVault::new(grant.refresh_token.clone()));
    let tokens = Arc::new(TokenKeeper::signed_in(http, vault, grant));
    let (client, mut events) = Client::start(options(tokens, Trust::system())).unwrap();
    assert!(matches!(events.recv().await, Some(ClientEvent::Began(_))));
    let answer = client.ask(None, ClientMessage::Rooms {}).await.unwrap();
    assert_eq!(answer.body, ServerMessage::Rooms { rooms: Vec::new() });
    client.end().await;
    assert_eq!(events.recv().await, Some(ClientEvent::Ended(EndReason::Left)));
    assert_eq!(events.recv().await, None);
}

/// Certificates of an own authority.
struct Authority {
    folder: TempDir,
}

impl Authority {
    /// An authority, and a certificate for `localhost` that it has signed.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder takes a file");
        let key = KeyPair::generate().expect("a certificate");
        let mut params = CertificateParams::new(Vec::new()).expect("a certificate");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        fs::write(folder.path().join("ca.pem"), certificate.pem())
            .expect("the temporary folder takes a file");
        let issuer = Issuer::new(params, key);
        let own_key = KeyPair::generate().expect("a certificate");
        let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("a certificate");
        let own = own.signed_by(&own_key, &issuer).expect("a certificate");
        fs::write(folder.path().join("server.pem"), own.pem()).expect("the temporary folder takes a file");
        fs::write(folder.path().join("server.key"), own_key.serialize_pem())
            .expect("the temporary folder takes a file");
        Self { folder }
    }

    fn server(&self) -> SignalingServer {
        server_with(|config| {
            config.tls.certificate = self.folder.path().join("server.pem");
            config.tls.key = self.folder.path().join("server.key");
        })
    }

    fn trust(&self) -> Trust {
        Trust::with_ca_file(&self.folder.path().join("ca.pem")).expect("a certificate")
    }
}

#[tokio::test]
async fn an_own_authority_is_trusted_when_it_is_named_for_http_and_socket() {
    let authority = Authority::new();
    let server = authority.server();
    let port = url(server.url()).to_string().rsplit(':').next().unwrap().to_owned();
    let named = url(&format!("https://localhost:{port}"));
    let http = Http::new(named, &authority.trust(), AGENT).unwrap();
    let grant = signed_up(&http).await;
    let vault = Arc::new(MemoryVault::new(grant.refresh_token.clone()));
    let tokens = Arc::new(TokenKeeper::signed_in(http, vault, grant));
    let (client, mut events) = Client::start(options(tokens, authority.trust())).unwrap();
    assert!(matches!(events.recv().await, Some(ClientEvent::Began(_))));
    client.end().await;
    assert_eq!(events.recv().await, Some(ClientEvent::Ended(EndReason::Left)));
}

#[tokio::test]
async fn certificates_that_do_not_fit_say_what_is_wrong() {
    let authority = Authority::new();
    let server = authority.server();
    let by_number = Http::new(url(server.url()), &authority.trust(), AGENT).unwrap();
    let error = by_number.sign_up(&ada()).await.unwrap_err();
    assert!(matches!(error, ReachError::NameMismatch { .. }), "{error:?}");

    let stranger = Authority::new();
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    let unknown = Http::new(url(&format!("https://localhost:{port}")), &stranger.trust(), AGENT).unwrap();
    let error = unknown.sign_up(&ada()).await.unwrap_err();
    assert!(matches!(error, ReachError::Untrusted { .. }), "{error:?}");

    let plain = server_with(|_| {});
    let encrypted = plain.url().replace("http://", "https://");
    let no_tls = Http::new(url(&encrypted), &authority.trust(), AGENT).unwrap();
    let error = no_tls.sign_up(&ada()).await.unwrap_err();
    assert!(matches!(error, ReachError::NotAhoy { .. }), "{error:?}");
}

#[test]
fn a_file_that_holds_no_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    let error = Trust::with_ca_file(&missing).unwrap_err().to_string();
    assert!(error.contains("missing.pem") && error.contains("no such file"), "{error}");
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "nothing in here").unwrap();
    let error = Trust::with_ca_file(&empty).unwrap_err().to_string();
    assert!(error.contains("no certificate in it"), "{error}");
}
