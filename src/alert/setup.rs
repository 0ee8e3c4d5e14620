//! From the config to what alerts are started with.
//!
//! In: [`Config`]. Out: [`Options`]. Never: a connection.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{
    cause::Recipients,
    letter::Context,
    machine::Policy,
    mail::{MailError, Mailer},
    webhook::Webhook,
};
use crate::{
    config::{Config, Emails, KeyError, Mail},
    way::Way,
};

/// Long enough for what breaks together, and far below the minute in which a first mail is due.
const GATHER: Duration = Duration::from_secs(10);

/// What alerts are started with.
pub struct Options {
    /// The rules of `[mail]`; without a mailer nothing is mailed, whatever they say.
    pub policy: Policy,
    /// What texts have in common.
    pub context: Context,
    /// Who carries mail.
    pub mailer: Option<Mailer>,
    /// Who gets JSON.
    pub webhook: Option<Webhook>,
}

/// Why alerts cannot be started as configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// `mail.password` or `alerts.webhook.url` cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// `[mail]` cannot be used.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// TLS for the webhook cannot be set up.
    #[error("cannot set up TLS for `alerts.webhook`")]
    Webhook(#[from] reqwest::Error),
}

impl Options {
    /// What the config says; the keys it names are read.
    ///
    /// # Errors
    /// When a key, the roots or the sender's address is unusable.
    pub fn new(config: &Config, host: &str) -> Result<Self, SetupError> {
        let mailer = config
            .mail
            .as_ref()
            .map(|mail| mailer(mail, host))
            .transpose()?;
        let webhook = match &config.alerts.webhook {
            Some(address) => Some(Webhook::new(address.load()?)?),
            None => None,
        };
        let policy = config
            .mail
            .as_ref()
            .map(Policy::of_mail)
            .unwrap_or_default();
        Ok(Self {
            policy,
            context: Context::new(config, host),
            mailer,
            webhook,
        })
    }
}

fn mailer(mail: &Mail, host: &str) -> Result<Mailer, SetupError> {
    let password = mail
        .password
        .as_ref()
        .map(crate::config::KeySource::load)
        .transpose()?;
    Ok(Mailer::new(mail, password.as_ref(), host)?)
}

impl Context {
    /// The site's short name, the dashboard's address, this machine's zone.
    #[must_use]
    pub fn new(config: &Config, host: &str) -> Self {
        let site_host = config.site.url.host_str().unwrap_or_default();
        let is_name = config.site.url.domain().is_some();
        let site = if is_name {
            site_host.split('.').next().unwrap_or_default()
        } else {
            site_host
        };
        let http = config.admin.http.map(|address| format!("http://{address}"));
        let url = config
            .admin
            .url
            .as_ref()
            .map(|url| url.as_str().trim_end_matches('/').to_owned())
            .or(http);
        Self {
            host: host.to_owned(),
            site: site.to_owned(),
            url,
            zone: TimeZone::system(),
            way: Way::to(&config.file, &config.admin.socket),
        }
    }
}

impl Policy {
    /// The rules of `[mail]`.
    #[must_use]
    pub fn of_mail(mail: &Mail) -> Self {
        Self {
            to: mail.to.clone(),
            has_mail: true,
            gather: GATHER,
            digest: mail.digest,
            max_per_day: mail.max_per_day,
        }
    }
}

/// No mail.
impl Default for Policy {
    fn default() -> Self {
        Self {
            has_mail: false,
            ..Self::of_mail(&Mail::default())
        }
    }
}

impl From<&Emails> for Recipients {
    fn from(emails: &Emails) -> Self {
        match emails {
            Emails::Default => Self::Default,
            Emails::Nobody => Self::Nobody,
            Emails::To(addresses) => Self::To(addresses.clone()),
        }
    }
}
