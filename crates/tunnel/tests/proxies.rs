//! Connections through a real proxy (tinyproxy), in the open and over TLS.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod needs_tinyproxy {
    use std::fs;
    use std::io::Write as _;
    use std::net::{SocketAddr, TcpListener as StdListener};
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;

    use ahoy_tunnel::{Tunnel, TunnelError};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;

    /// A proxy that leads to one port of this machine. It ends with the value.
    struct Proxy {
        process: Child,
        address: SocketAddr,
        _folder: tempfile::TempDir,
    }

    impl Drop for Proxy {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    impl Proxy {
        fn to(target: SocketAddr, more: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            // Taken, and given back for the proxy to take.
            let address = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let file = folder.path().join("tinyproxy.conf");
            let settings = format!(
                "Port {}\nListen 127.0.0.1\nTimeout 60\nMaxClients 10\nConnectPort {}\n{more}\n",
                address.port(),
                target.port()
            );
            fs::File::create(&file).unwrap().write_all(settings.as_bytes()).unwrap();
            let mut command = Command::new("tinyproxy");
            command.arg("-d").arg("-c").arg(&file);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut proxy = Self { process: command.spawn().unwrap(), address, _folder: folder };
            while std::net::TcpStream::connect(address).is_err() {
                assert!(proxy.process.try_wait().unwrap().is_none(), "the proxy runs");
                std::thread::yield_now();
            }
            proxy
        }
    }

    /// Says back what it hears.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        address
    }

    async fn talk(tunnel: &Tunnel, to: SocketAddr) -> Result<(), TunnelError> {
        let mut stream = tunnel.connect(&to.ip().to_string(), to.port()).await?;
        stream.write_all(b"ahoy").await.unwrap();
        let mut heard = [0; 4];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"ahoy");
        Ok(())
    }

    #[tokio::test]
    async fn what_is_said_gets_through_and_other_ports_do_not() {
        let (echo, other) = (echo().await, echo().await);
        let proxy = Proxy::to(echo, "");
        let tunnel = Tunnel::through(&format!("http://{}", proxy.address), None).unwrap();
        assert_eq!(tunnel.proxy_for("127.0.0.1", echo.port()), Some(format!("http://{}", proxy.address)));
        talk(&tunnel, echo).await.unwrap();
        let refused = talk(&tunnel, other).await.unwrap_err().to_string();
        assert!(refused.contains("does not lead there") && refused.contains("https_proxy"), "{refused}");
    }

    #[tokio::test]
    async fn a_proxy_that_wants_a_password_gets_it_and_nobody_else_reads_it() {
        let echo = echo().await;
        let proxy = Proxy::to(echo, "BasicAuth ada secret");
        let at = |who: &str| Tunnel::through(&format!("http://{who}{}", proxy.address), None).unwrap();
        talk(&at("ada:secret@"), echo).await.unwrap();
        assert!(!at("ada:secret@").proxy_for("127.0.0.1", 1).unwrap().contains("secret"));
        let refused = talk(&at("ada:wrong@"), echo).await.unwrap_err().to_string();
        assert!(!refused.contains("wrong"), "{refused}");
    }

    #[tokio::test]
    async fn a_proxy_may_be_talked_to_over_tls() {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (echo, key) =
            (echo().await, rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
        let proxy = Proxy::to(echo, "");
        let certificate = key.cert.der().clone();
        let secret = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()).into();
        let server = ServerConfig::builder().with_no_client_auth();
        let server = server.with_single_cert(vec![certificate.clone()], secret).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = listener.local_addr().unwrap();
        let behind = proxy.address;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut proxy = TcpStream::connect(behind).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut proxy).await;
                });
            }
        });
        let mut believed = RootCertStore::empty();
        believed.add(certificate).unwrap();
        let trusting =
            |roots| Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
        let url = format!("https://localhost:{}", front.port());
        talk(&Tunnel::through(&url, Some(trusting(believed))).unwrap(), echo).await.unwrap();
        let nobody = Tunnel::through(&url, Some(trusting(RootCertStore::empty()))).unwrap();
        assert!(matches!(talk(&nobody, echo).await, Err(TunnelError::Proxy { .. })), "nobody vouches for it");
    }
}
