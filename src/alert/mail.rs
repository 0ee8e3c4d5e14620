//! Letters to a mail server: lettre over SMTP with STARTTLS, SMTPS, or this machine's sendmail.
//!
//! In: [`Letter`]s. Out: delivered, or why not and whether it is worth another try.
//! Never: a password in the clear, a password in an error, a certificate that was not checked.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use lettre::{
    AsyncSendmailTransport, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::letter::Letter;
use crate::{
    config::{Mail, MailServer, MailTls},
    secret::Secret,
    telemetry::clean,
};

/// One mail, whole: a server that is slower than this is asked again later.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a mail is not out.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The file with roots cannot be read.
    #[error("cannot read `mail.ca_file` {path}: {why}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS for {server}: {why}")]
    Tls {
        /// The server.
        server: String,
        /// Why.
        why: String,
    },
    /// An address cannot be written to.
    #[error("\"{address}\" is no mail address")]
    Address {
        /// The address.
        address: String,
    },
    /// The mail cannot be put together.
    #[error("cannot write the mail: {why}")]
    Content {
        /// Why.
        why: String,
    },
    /// The server takes it at no time.
    #[error("{server} refused the mail: {why}")]
    Refused {
        /// The server.
        server: String,
        /// Its words.
        why: String,
    },
    /// The server does not take it now.
    #[error("{server} did not take the mail: {why}")]
    NotNow {
        /// The server.
        server: String,
        /// Why.
        why: String,
    },
}

impl MailError {
    /// True when another try may succeed.
    #[must_use]
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::NotNow { .. })
    }
}

enum Transport {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Sendmail(AsyncSendmailTransport<Tokio1Executor>),
}

/// Sends letters.
pub struct Mailer {
    transport: Transport,
    server: String,
    from: Mailbox,
    list_id: String,
}

impl Mailer {
    /// A mailer for `[mail]`; no connection is made yet.
    ///
    /// # Errors
    /// When the file with roots or the sender's address is unusable.
    pub fn new(mail: &Mail, password: Option<&Secret>, host: &str) -> Result<Self, MailError> {
        let from = mailbox(&mail.from)?;
        let (transport, server) = match &mail.server {
            MailServer::Sendmail => (
                Transport::Sendmail(AsyncSendmailTransport::new()),
                "sendmail".to_owned(),
            ),
            MailServer::Smtp { host, port } => (
                Transport::Smtp(smtp(mail, password, host, *port, false)?),
                format!("{host}:{port}"),
            ),
            MailServer::Smtps { host, port } => (
                Transport::Smtp(smtp(mail, password, host, *port, true)?),
                format!("{host}:{port}"),
            ),
        };
        Ok(Self {
            transport,
            server,
            from,
            list_id: format!("<sgeventd.{host}>"),
        })
    }

    /// Sends one letter.
    ///
    /// # Errors
    /// When it is not out; [`MailError::is_worth_a_retry`] says whether to try again.
    pub async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let message = self.message(letter)?;
        let not_now = |why: String| MailError::NotNow {
            server: self.server.clone(),
            why,
        };
        let sent = async {
            match &self.transport {
                Transport::Smtp(smtp) => smtp
                    .send(message)
                    .await
                    .map(drop)
                    .map_err(|error| self.smtp_error(&error)),
                Transport::Sendmail(sendmail) => sendmail
                    .send(message)
                    .await
                    .map_err(|error| not_now(chain(&error))),
            }
        };
        match tokio::time::timeout(TIMEOUT, sent).await {
            Ok(result) => result,
            Err(_) => Err(not_now(format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    }

    fn message(&self, letter: &Letter) -> Result<Message, MailError> {
        let content = |error: lettre::error::Error| MailError::Content { why: chain(&error) };
        let since_1970 = Duration::from_millis(u64::try_from(letter.time.0).unwrap_or(0));
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(mailbox(&letter.to)?)
            .date(std::time::UNIX_EPOCH + since_1970)
            .subject(&letter.subject)
            .message_id(Some(format!("<{}>", letter.message_id)))
            .raw_header(raw("List-Id", &self.list_id))
            .raw_header(raw("Auto-Submitted", "auto-generated"))
            .raw_header(raw("Precedence", "bulk"));
        if let Some(about) = &letter.about {
            builder = builder
                .references(format!("<{about}>"))
                .in_reply_to(format!("<{about}>"));
        }
        builder
            .header(ContentType::TEXT_PLAIN)
            .body(letter.body.clone())
            .map_err(content)
    }

    fn smtp_error(&self, error: &lettre::transport::smtp::Error) -> MailError {
        let (server, why) = (self.server.clone(), chain(error));
        // A login that is refused may be mended on the server; the mail is not at fault.
        let is_login = error
            .status()
            .is_some_and(|code| matches!(code.to_string().as_str(), "530" | "534" | "535" | "538"));
        if error.is_permanent() && !is_login {
            return MailError::Refused { server, why };
        }
        let hint = if error.is_tls() || why.contains("certificate") {
            " (the roots to trust besides the system's: `mail.ca_file`)"
        } else {
            ""
        };
        MailError::NotNow {
            server,
            why: format!("{why}{hint}"),
        }
    }
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn mailbox(address: &str) -> Result<Mailbox, MailError> {
    address.parse().map_err(|_| MailError::Address {
        address: address.to_owned(),
    })
}

fn smtp(
    mail: &Mail,
    password: Option<&Secret>,
    host: &str,
    port: u16,
    is_wrapped: bool,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let must_encrypt = mail.tls == MailTls::Required || mail.username.is_some();
    let tls = match (is_wrapped, mail.tls) {
        (true, _) => Tls::Wrapper(parameters(mail, host)?),
        _ if must_encrypt => Tls::Required(parameters(mail, host)?),
        (false, MailTls::Off) => Tls::None,
        (false, _) => Tls::Opportunistic(parameters(mail, host)?),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(port)
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let (Some(username), Some(password)) = (&mail.username, password) {
        builder = builder.credentials(Credentials::new(
            username.clone(),
            password.expose().to_owned(),
        ));
    }
    Ok(builder.build())
}

fn parameters(mail: &Mail, host: &str) -> Result<TlsParameters, MailError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &mail.ca_file {
        let wrong = |why: String| MailError::CaFile {
            path: path.clone(),
            why,
        };
        let pem = std::fs::read(path).map_err(|error| wrong(error.kind().to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(chain(&error)))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| MailError::Tls {
        server: host.to_owned(),
        why: chain(&error),
    })
}

/// An error and its causes in one line, without the system's numbers.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            let _ = write!(text, ": {next}");
        }
        source = error.source();
    }
    let end = text.find(" (os error").unwrap_or(text.len());
    clean(&text[..end]).into_owned()
}
