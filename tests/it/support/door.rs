//! Another door to a made-up site: with TLS, or one that is shut for now.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::Site;

/// A port at which nobody answers until it is opened.
pub(crate) struct ShutDoor(TcpSocket);

impl ShutDoor {
    /// Takes a port without listening on it: connections are refused, and nobody else can take it.
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let address = ([127, 0, 0, 1], 0).into();
        socket.bind(address).expect("a port");
        Self(socket)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("bound"))
    }

    /// Leads to the site from now on.
    pub(crate) fn open(self, site: &Site) {
        let (listener, site) = (self.0.listen(64).expect("it listens"), address(site));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, site.clone()));
            }
        });
    }
}

/// A door with TLS, whose certificate can be changed.
pub(crate) struct TlsDoor {
    port: u16,
    show: Arc<Mutex<Show>>,
}

/// What the door does with whom comes.
#[derive(Clone)]
enum Show {
    Certificate(Arc<ServerConfig>),
    /// Answers its hello with these bytes.
    Bytes(&'static [u8]),
    /// Resets the connection after its hello.
    Reset,
}

impl TlsDoor {
    /// Opens it.
    pub(crate) async fn open(site: &Site, config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let door = Self {
            port: listener.local_addr().expect("bound").port(),
            show: Arc::new(Mutex::new(Show::Certificate(Arc::new(config)))),
        };
        let (site, show) = (address(site), Arc::clone(&door.show));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let show = show.lock().expect("no panic inside").clone();
                let site = site.clone();
                tokio::spawn(async move {
                    let config = match show {
                        Show::Certificate(config) => config,
                        Show::Bytes(bytes) => return spoil(stream, Some(bytes)).await,
                        Show::Reset => return spoil(stream, None).await,
                    };
                    if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                        pass(stream, site).await;
                    }
                });
            }
        });
        door
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Shows another certificate to whom comes from now on.
    pub(crate) fn show(&self, config: ServerConfig) {
        self.set(Show::Certificate(Arc::new(config)));
    }

    /// Refuses as a server does that knows TLS 1.0 only: a fatal alert 70.
    pub(crate) fn show_old_tls(&self) {
        self.set(Show::Bytes(b"\x15\x03\x01\x00\x02\x02\x46"));
    }

    /// Resets each connection in the middle of the handshake.
    pub(crate) fn reset(&self) {
        self.set(Show::Reset);
    }

    fn set(&self, show: Show) {
        *self.show.lock().expect("no panic inside") = show;
    }
}

/// Answers a hello with bytes, or with a reset.
async fn spoil(mut stream: TcpStream, bytes: Option<&[u8]>) {
    let mut hello = [0; 4096];
    // Whoever goes away before that needs no answer.
    let _hello = stream.read(&mut hello).await;
    match bytes {
        Some(bytes) => drop(stream.write_all(bytes).await),
        None => stream.set_zero_linger().expect("a socket"),
    }
}

fn address(site: &Site) -> String {
    site.sandbox.url().replace("http://", "")
}

async fn pass(mut stream: impl AsyncRead + AsyncWrite + Unpin, site: String) {
    if let Ok(mut inner) = TcpStream::connect(site).await {
        // Either end may close whenever it likes.
        drop(copy_bidirectional(&mut stream, &mut inner).await);
    }
}

/// An authority that signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one, which nobody knows.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its own certificate, for `ca_file`.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a server needs whose certificate is signed by itself.
    pub(crate) fn of_nobody(host: &str) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("a name");
        let signed = params.self_signed(&key).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .expect("they belong together")
    }

    /// What a server needs to be this host.
    pub(crate) fn server(
        &self,
        host: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> ServerConfig {
        // A second call finds it installed.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .expect("they belong together")
    }
}
