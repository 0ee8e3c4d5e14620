//! How a site is reached: options in, an HTTP client out, or the reason in words.
//!
//! Never: the system's proxy settings, a redirect, a connection (that comes with the first call).

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Certificate, Client, Proxy, redirect};
use url::Url;

use super::{
    address::{Address, AddressError},
    tap::CallTap,
};
use crate::secret::Secret;

/// The port of a proxy that is named without one, as in the official client.
const PROXY_PORT: u16 = 8080;
/// Connecting gets at most this much of a call's time: what fails here was not sent and may be repeated.
const CONNECT_AT_MOST: Duration = Duration::from_secs(15);
/// Shorter than load balancers keep idle connections, so that we rarely write on one that is being closed.
const IDLE_AT_MOST: Duration = Duration::from_secs(20);

/// The largest result of a plugin's call, which is announced to it.
pub const RESULT_BYTES: usize = 64 << 20;

/// How to reach a site.
#[derive(Clone)]
pub struct SiteOptions {
    /// `https://studio.shotgrid.autodesk.com`.
    pub url: String,
    /// `[http://][user[:password]@]host[:port]`.
    pub proxy: Option<String>,
    /// The proxy's password; wins over one in `proxy`.
    pub proxy_password: Option<Secret>,
    /// PEM certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// One try, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// Calls of plugins under way at once.
    pub max_calls: usize,
    /// Longest pause between two tries.
    pub max_retry_wait: Duration,
    /// How long a call of a plugin waits for a site that is away.
    pub patience: Duration,
    /// The largest result of a question of the daemon's own, after decompression.
    pub answer_bytes: usize,
    /// The largest result of a plugin's call, after decompression.
    pub result_bytes: usize,
    /// Who is told of every try.
    pub tap: Option<Arc<dyn CallTap>>,
}

impl SiteOptions {
    /// The defaults for a site.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            proxy: None,
            proxy_password: None,
            ca_file: None,
            timeout: Duration::from_secs(60),
            max_calls: 8,
            max_retry_wait: Duration::from_secs(60),
            patience: Duration::from_secs(600),
            // Twice as much while its rows are taken out.
            answer_bytes: 32 << 20,
            result_bytes: RESULT_BYTES,
            tap: None,
        }
    }
}

/// Why a site cannot even be tried.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The URL.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The proxy.
    #[error(
        "[site] proxy cannot be read ({reason}); it looks like http://user@proxy.studio.example:3128"
    )]
    Proxy {
        /// What the parser found.
        reason: String,
    },
    /// The file with certificates cannot be read.
    #[error("cannot read [site] ca_file {}", file.display())]
    CaFile {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file was read and is not what it should be.
    #[error("[site] ca_file {} holds no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----", file.display())]
    NoCertificate {
        /// Which file.
        file: PathBuf,
    },
    /// TLS cannot be set up: mostly a machine without root certificates.
    #[error(
        "cannot set up TLS: {reason}; install the package ca-certificates or name a file in [site] ca_file"
    )]
    Tls {
        /// What was found.
        reason: String,
    },
}

/// Whether bodies may come compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Answers: they are text.
    Gzip,
    /// Files: a compressed one is what was asked for.
    AsItIs,
}

/// Builds the HTTP client for a site.
pub(super) fn client(
    options: &SiteOptions,
    address: &Address,
    coding: Coding,
) -> Result<Client, SetupError> {
    install_provider();
    let mut builder = Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .gzip(coding == Coding::Gzip)
        .user_agent(concat!("sgeventd/", env!("CARGO_PKG_VERSION")))
        // Before the deadline of the whole: what fails while connecting was certainly not sent.
        .connect_timeout((options.timeout * 3 / 4).min(CONNECT_AT_MOST))
        .pool_idle_timeout(IDLE_AT_MOST)
        .tcp_keepalive(Duration::from_secs(30));
    let proxy = options.proxy.as_deref();
    let proxy = proxy.map(|text| proxy_of(text, options.proxy_password.as_ref()));
    let (proxy, is_tls_proxy) = proxy.transpose()?.unzip();
    if let Some(proxy) = proxy {
        builder = builder.proxy(proxy);
    }
    if let Some(file) = &options.ca_file {
        builder = builder.tls_certs_merge(certificates(file)?);
    } else if !address.is_https() && !is_tls_proxy.unwrap_or(false) {
        // Nothing is encrypted: a machine without root certificates will do.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| SetupError::Tls {
        reason: std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string),
    })
}

/// The one crypto provider; the second caller of a process finds it installed.
pub(super) fn install_provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn proxy_of(text: &str, password: Option<&Secret>) -> Result<(Proxy, bool), SetupError> {
    let bad = |reason: &dyn ToString| SetupError::Proxy {
        reason: reason.to_string(),
    };
    let has_scheme = text.contains("://");
    let whole = if has_scheme {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let mut url = Url::parse(&whole).map_err(|error| bad(&error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(&format!("{}:// is not supported", url.scheme())));
    }
    if url.port().is_none() && !has_scheme {
        url.set_port(Some(PROXY_PORT))
            .map_err(|()| bad(&"no host"))?;
    }
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let user = decode(url.username());
    let written = url.password().map(|text| Secret::new(decode(text)));
    url.set_username("").map_err(|()| bad(&"no host"))?;
    url.set_password(None).map_err(|()| bad(&"no host"))?;
    let is_tls = url.scheme() == "https";
    let mut proxy = Proxy::all(url).map_err(|error| bad(&error.without_url()))?;
    if !user.is_empty() {
        let password = password.or(written.as_ref()).map_or("", Secret::expose);
        proxy = proxy.basic_auth(&user, password);
    }
    Ok((proxy, is_tls))
}

fn certificates(file: &PathBuf) -> Result<Vec<Certificate>, SetupError> {
    let pem = std::fs::read(file).map_err(|source| SetupError::CaFile {
        file: file.clone(),
        source,
    })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(SetupError::NoCertificate { file: file.clone() }),
    }
}
