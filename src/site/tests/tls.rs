//! Wrong TLS is refused with the reason in words, right TLS works with `ca_file`.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{
    server::{Move, Server},
    session_with,
};
use crate::site::{Call, SiteError, SiteOptions, setup::install_provider};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        install_provider();
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
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

/// A TLS server that answers 7; its URL.
async fn serve(config: ServerConfig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let plain = Server::start([Move::results("7")]).await;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(plain.clone().serve(stream));
            }
        }
    });
    format!("https://localhost:{port}")
}

async fn ask(url: &str, authority: Option<&Authority>) -> Result<String, SiteError> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    if let Some(authority) = authority {
        std::fs::write(file.path(), authority.0.pem()).expect("written");
    }
    let session = session_with(SiteOptions {
        ca_file: authority.map(|_| file.path().to_owned()),
        ..SiteOptions::new(url)
    });
    let reply = session.call_once(&Call::new("read", None)).await?;
    Ok(reply.to_raw().get().to_owned())
}

#[tokio::test]
async fn an_authority_in_ca_file_is_trusted() {
    let authority = Authority::new();
    let url = serve(authority.server("localhost", |_| {})).await;
    assert_eq!(ask(&url, Some(&authority)).await.expect("trusted"), "7");
}

#[tokio::test]
async fn wrong_tls_is_said_in_words() {
    let authority = Authority::new();
    let expired = authority.server("localhost", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let early = authority.server("localhost", |params| {
        params.not_before = date_time_ymd(4000, 1, 1);
    });
    let other = authority.server("other.example", |_| {});
    let mut shown = Vec::new();
    for (url, known) in [
        (serve(expired).await, true),
        (serve(early).await, true),
        (serve(other).await, true),
        (serve(authority.server("localhost", |_| {})).await, false),
        (old_tls().await, true),
        (after_hello(b"HTTP/1.1 400 Bad Request\r\n\r\n").await, true),
        (hang_up().await, true),
    ] {
        let error = ask(&url, known.then_some(&authority))
            .await
            .expect_err("refused");
        assert!(matches!(error, SiteError::Connect { .. }), "{error:?}");
        let text = error.to_string();
        shown.push(
            text.split_once(": ")
                .map_or(text.clone(), |(_, reason)| reason.to_owned()),
        );
    }
    insta::assert_snapshot!(shown.join("\n"), @r#"
        the site's certificate has expired (or this machine's clock is wrong)
        the site's certificate is not valid yet (is this machine's clock right?)
        the site's certificate is for another host; is [site] url right?
        the site's certificate is signed by an authority unknown here; if the studio has its own authority, name its certificate in [site] ca_file
        the server refuses TLS 1.2 and 1.3, and nothing older is accepted
        the server does not speak TLS on this port; is it http://?
        the connection was closed during the TLS handshake
        "#);
}

/// Answers every hello with a fatal alert 70, as a server that knows TLS 1.0 only.
async fn old_tls() -> String {
    after_hello(b"\x15\x03\x01\x00\x02\x02\x46").await
}

/// Closes in the middle of the handshake.
async fn hang_up() -> String {
    after_hello(b"").await
}

async fn after_hello(answer: &'static [u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 4096];
            drop(stream.read(&mut hello).await);
            drop(stream.write_all(answer).await);
        }
    });
    format!("https://127.0.0.1:{port}")
}
