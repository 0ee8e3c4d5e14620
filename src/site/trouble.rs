//! A failed exchange in words: what reqwest, hyper, rustls and the kernel say, as one [`SiteError`].
//!
//! In: a reqwest error. Out: which step failed, why, and what a person can do about it.
//! Never: the URL, whose user-info could hold a password.

use std::{error::Error, io};

use rustls::CertificateError as Bad;

use super::error::{ConnectKind, SiteError};

const CA_HINT: &str = "if the studio has its own authority, name its certificate in [site] ca_file";

/// The error of a request that has no answer yet.
pub(super) fn of_request(error: &reqwest::Error, host: &str) -> SiteError {
    let host = host.to_owned();
    if error.is_connect() || error.is_builder() {
        let (kind, reason) = connecting(error);
        return SiteError::Connect { host, kind, reason };
    }
    // hyper says "canceled" when it took the request back before writing: the connection was already closing.
    let is_sent = !causes(error).any(|cause| {
        cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled)
    });
    SiteError::Lost {
        host,
        reason: root_of(error),
        is_sent,
    }
}

/// The error of a body that broke off.
pub(super) fn of_body(error: &reqwest::Error, received: usize) -> SiteError {
    // reqwest calls every failure of a body a decoding error; one of the connection has hyper's error inside.
    let is_cut = causes(error).any(<dyn Error>::is::<hyper::Error>);
    let reason = match is_cut {
        true => root_of(error),
        false => format!("it cannot be decompressed: {}", root_of(error)),
    };
    SiteError::Truncated { received, reason }
}

fn connecting(error: &reqwest::Error) -> (ConnectKind, String) {
    if error.is_dns() {
        let reason = "the name was not found (DNS); is [site] url right, is the network up?";
        return (ConnectKind::Dns, reason.to_owned());
    }
    if let Some(tls) = causes(error).find_map(rustls_in) {
        return (ConnectKind::Tls, tls);
    }
    if error.is_timeout() {
        let reason = "no connection in time; is a firewall or a missing [site] proxy in the way?";
        return (ConnectKind::Timeout, reason.to_owned());
    }
    let root = root_of(error);
    if causes(error).any(|cause| cause.to_string().contains("tunnel")) || root.contains("proxy") {
        let hint = match root.contains("authorization") {
            true => "; it wants a user in [site] proxy and a proxy_password",
            false => "",
        };
        let reason = format!("the proxy does not let us through: {root}{hint}");
        return (ConnectKind::Proxy, reason);
    }
    match causes(error).filter_map(io_kind).last() {
        Some(io::ErrorKind::ConnectionRefused) => (
            ConnectKind::Refused,
            "connection refused: nobody listens there".to_owned(),
        ),
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => (
            ConnectKind::Tls,
            "the connection was closed during the TLS handshake".to_owned(),
        ),
        _ => (ConnectKind::Other, root),
    }
}

fn rustls_in(cause: &(dyn Error + 'static)) -> Option<String> {
    cause.downcast_ref::<rustls::Error>().map(tls_words)
}

fn tls_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(bad) => certificate_words(bad),
        rustls::Error::PeerIncompatible(_) => {
            "the server speaks no TLS that we accept; 1.2 or 1.3 is needed".to_owned()
        }
        rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion) => {
            "the server refuses TLS 1.2 and 1.3, and nothing older is accepted".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("the server broke off the TLS handshake ({alert:?})")
        }
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port; is it http://?".to_owned()
        }
        other => format!("TLS: {other}"),
    }
}

fn certificate_words(bad: &Bad) -> String {
    match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => {
            "the site's certificate has expired (or this machine's clock is wrong)".to_owned()
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "the site's certificate is not valid yet (is this machine's clock right?)".to_owned()
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            "the site's certificate is for another host; is [site] url right?".to_owned()
        }
        Bad::Revoked => "the site's certificate was revoked".to_owned(),
        // The second: another authority of the same name.
        Bad::UnknownIssuer | Bad::BadSignature => {
            format!("the site's certificate is signed by an authority unknown here; {CA_HINT}")
        }
        other => format!("the site's certificate is not accepted: {other}; {CA_HINT}"),
    }
}

fn io_kind(cause: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    cause.downcast_ref::<io::Error>().map(io::Error::kind)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| {
        // An io::Error passes over what it wraps when it is asked for its source.
        match cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => cause.source(),
        }
    })
}

/// The innermost cause: the outer ones repeat it, and the outermost names the URL. The kernel's number tells people nothing.
fn root_of(error: &reqwest::Error) -> String {
    let root = causes(error).last().map(ToString::to_string);
    let mut root = root.unwrap_or_else(|| "no cause given".to_owned());
    if let Some(end) = root.find(" (os error") {
        root.truncate(end);
    }
    root
}
