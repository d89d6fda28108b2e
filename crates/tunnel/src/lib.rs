//! TCP connections, through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6) where the system or the person says so.
//!
//! [`Tunnel::system`] asks what everybody's programs ask: `https_proxy`, `all_proxy` and `no_proxy` in the environment, and
//! the settings of macOS and Windows. It is signaling and relays over TCP and TLS that come this way; datagrams can't.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::proxy::Tunnel as Connect;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The host can't be reached.
    #[error(transparent)]
    Host(#[from] io::Error),
    /// The host's name and port make no address.
    #[error("{0} is no host that a proxy can be asked for")]
    Name(String),
    /// The proxy can't be reached, or does not let one through.
    #[error(
        "the proxy {proxy} does not lead there ({cause}): check it in the system's settings, or https_proxy in the environment"
    )]
    Proxy {
        /// Which, without its password.
        proxy: String,
        /// What it said.
        cause: String,
    },
    /// A proxy's address is none, or of a kind that is not spoken here.
    #[error("{0:?} is no proxy's address: http://HOST:PORT or https://HOST:PORT is")]
    Address(String),
}

/// How connections are opened.
#[derive(Clone, Default)]
pub struct Tunnel {
    proxies: Option<Arc<Matcher>>,
    tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.proxies.is_some() { "Tunnel(by proxies)" } else { "Tunnel(direct)" })
    }
}

impl Tunnel {
    /// Straight to the host, whatever the system says.
    pub fn direct() -> Self {
        Self::default()
    }

    /// As the system says. `tls` is for proxies that are talked to over TLS themselves.
    pub fn system(tls: Option<Arc<ClientConfig>>) -> Self {
        Self { proxies: Some(Arc::new(Matcher::from_system())), tls }
    }

    /// Through this proxy.
    ///
    /// # Errors
    /// [`TunnelError::Address`].
    pub fn through(proxy: &str, tls: Option<Arc<ClientConfig>>) -> Result<Self, TunnelError> {
        let wrong = || TunnelError::Address(without_password(proxy));
        let uri: Uri = proxy.parse().map_err(|_| wrong())?;
        if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong());
        }
        let matcher = Matcher::builder().all(proxy.to_owned()).build();
        Ok(Self { proxies: Some(Arc::new(matcher)), tls })
    }

    /// The proxy by which a host is reached, without its password; `None` where it is reached directly.
    pub fn proxy_for(&self, host: &str, port: u16) -> Option<String> {
        let target = target(host, port).ok()?;
        self.intercept(&target).map(|proxy| name_of(proxy.uri()))
    }

    fn intercept(&self, target: &Uri) -> Option<Intercept> {
        let proxy = self.proxies.as_ref()?.intercept(target)?;
        // SOCKS is not spoken here.
        matches!(proxy.uri().scheme_str(), Some("http" | "https")).then_some(proxy)
    }

    /// Opens a connection. Takes as long as it takes: the caller bounds it.
    ///
    /// # Errors
    /// [`TunnelError`].
    pub async fn connect(&self, host: &str, port: u16) -> Result<Stream, TunnelError> {
        let target = target(host, port)?;
        let Some(proxy) = self.intercept(&target) else { return Ok(Stream::tcp(dial(host, port).await?)) };
        let mut connect = Connect::new(proxy.uri().clone(), Dialer { tls: self.tls.clone() });
        if let Some(auth) = proxy.basic_auth() {
            connect = connect.with_auth(auth.clone());
        }
        let failed = |cause: String| TunnelError::Proxy { proxy: name_of(proxy.uri()), cause };
        let opened = connect.call(target).await.map_err(|error| failed(describe(&error)))?;
        Ok(opened.into_inner())
    }
}

/// An error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // What passes is short, and somebody waits for each piece.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn target(host: &str, port: u16) -> Result<Uri, TunnelError> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let authority = format!("{host}:{port}");
    let built = Uri::builder().scheme("https").authority(authority.as_str()).path_and_query("/").build();
    built.map_err(|_| TunnelError::Name(authority))
}

fn name_of(proxy: &Uri) -> String {
    let port = proxy.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", proxy.scheme_str().unwrap_or("http"), proxy.host().unwrap_or_default())
}

fn without_password(address: &str) -> String {
    match (address.find("://"), address.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://{}", &address[..scheme], &address[at + 1..]),
        _ => address.to_owned(),
    }
}

/// Opens the connection to the proxy itself.
#[derive(Clone)]
struct Dialer {
    tls: Option<Arc<ClientConfig>>,
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, proxy: Uri) -> Self::Future {
        let tls = self.tls.clone();
        Box::pin(async move {
            let secure = proxy.scheme_str() == Some("https");
            let host = proxy.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let port = proxy.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let tcp = dial(&host, port).await?;
            if !secure {
                return Ok(TokioIo::new(Stream::tcp(tcp)));
            }
            let tls = tls.ok_or_else(|| io::Error::other("no certificates are known here"))?;
            let name = ServerName::try_from(host).map_err(io::Error::other)?;
            let encrypted = TlsConnector::from(tls).connect(name, tcp).await?;
            Ok(TokioIo::new(Stream { inner: Inner::Tls(Box::new(encrypted)) }))
        })
    }
}

/// A connection that is open.
#[derive(Debug)]
pub struct Stream {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(stream: TcpStream) -> Self {
        Self { inner: Inner::Tcp(stream) }
    }

    fn socket(&self) -> &TcpStream {
        match &self.inner {
            Inner::Tcp(stream) => stream,
            Inner::Tls(stream) => stream.get_ref().0,
        }
    }

    /// This end.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    /// The other end: of the host, or of the proxy.
    ///
    /// # Errors
    /// What the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
