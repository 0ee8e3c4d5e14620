//! Bytes of a request and of an answer: `{"method_name", "params": [auth, payload]}` out, `results` or a bare body in.
//!
//! In: credentials and a payload as raw JSON; a body. Out: a body; the result as a slice of it.
//! Never: a tree of the payload or the result, an element of `params` that a plugin chose.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::error::SiteError;

/// `params[0]`.
#[derive(Serialize)]
pub(super) struct Auth<'a> {
    pub(super) script_name: &'a str,
    pub(super) script_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sudo_as_login: Option<&'a str>,
}

impl<'a> Auth<'a> {
    /// The same as fields of a form.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let always = [
            ("script_name", self.script_name),
            ("script_key", self.script_key),
        ];
        let some = [
            ("session_uuid", self.session_uuid),
            ("sudo_as_login", self.sudo_as_login),
        ];
        let some = some
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        always.into_iter().chain(some)
    }
}

/// The body of a request. Without credentials `params` is empty, as for `info`; without a payload it has one element.
pub(super) fn request(
    method: &str,
    auth: Option<&Auth<'_>>,
    payload: Option<&RawValue>,
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Request<'a, P: Serialize> {
        method_name: &'a str,
        params: P,
    }
    let encoded = match (auth, payload) {
        (None, _) => serde_json::to_vec(&Request {
            method_name: method,
            params: [(); 0],
        }),
        (Some(auth), None) => serde_json::to_vec(&Request {
            method_name: method,
            params: [auth],
        }),
        (Some(auth), Some(payload)) => serde_json::to_vec(&Request {
            method_name: method,
            params: (auth, payload),
        }),
    };
    encoded.expect("strings and raw JSON always encode")
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    exception: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error_code: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    results: Option<&'a RawValue>,
}

/// Keeps `null` apart from absent: `{"results": null}` is a result.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The result of an answer with HTTP 200, as a slice of its body: `results` when there is one, else the whole body.
///
/// # Errors
/// `Fault` or `Auth` when the body says `exception`, `BadJson` when it is no JSON.
pub(super) fn result(body: &Bytes, method: &str, script: &str) -> Result<Bytes, SiteError> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let Some(first) = first else {
        return Err(SiteError::BadJson {
            what: "the body is empty".to_owned(),
        });
    };
    if *first != b'{' {
        let whole: &RawValue = serde_json::from_slice(body).map_err(|error| bad_json(&error))?;
        return Ok(body.slice_ref(whole.get().as_bytes()));
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| bad_json(&error))?;
    if answer.exception.is_some_and(is_truthy) {
        return Err(fault(&answer, method, script));
    }
    Ok(match answer.results {
        Some(results) => body.slice_ref(results.get().as_bytes()),
        None => body.slice_ref(body.trim_ascii()),
    })
}

/// How the site begins when a login cannot be acted for: the same number as for a wrong key, and nothing said against it.
/// A script may well have such a word in its name.
const SUDO: [&str; 2] = [
    "Cannot 'sudo' - ",
    "The user does not have permission to 'sudo':",
];

fn fault(answer: &Answer<'_>, method: &str, script: &str) -> SiteError {
    let text =
        |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let code = answer.error_code.and_then(|raw| {
        let digits = raw.get().trim_matches('"');
        digits.parse::<i64>().ok()
    });
    let message = text(answer.message).unwrap_or_else(|| "Unknown Error".to_owned());
    let message = crate::secret::redact(&message).into_owned();
    let is_sudo = SUDO.iter().any(|words| message.starts_with(words));
    match code {
        Some(code @ (102 | 106 | 108 | 110)) if !is_sudo => SiteError::Auth {
            script: script.to_owned(),
            code,
            message,
        },
        code => SiteError::Fault {
            method: method.to_owned(),
            code,
            message,
        },
    }
}

/// As Python takes it: the official client asks only whether `exception` is truthy.
fn is_truthy(raw: &RawValue) -> bool {
    !matches!(raw.get(), "null" | "false" | "0" | "\"\"" | "[]" | "{}")
}

fn bad_json(error: &serde_json::Error) -> SiteError {
    SiteError::BadJson {
        what: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrap(body: &'static str) -> Result<String, SiteError> {
        result(&Bytes::from_static(body.as_bytes()), "read", "daemon")
            .map(|result| String::from_utf8(result.to_vec()).unwrap())
    }

    #[test]
    fn a_request_is_positional() {
        let auth = Auth {
            script_name: "d",
            script_key: "k\"",
            session_uuid: Some("u"),
            sudo_as_login: None,
        };
        let payload = RawValue::from_string(r#"{"type": "Shot"}"#.into()).unwrap();
        let text = |auth, payload| String::from_utf8(request("m", auth, payload)).unwrap();
        assert_eq!(text(None, None), r#"{"method_name":"m","params":[]}"#);
        assert_eq!(
            text(Some(&auth), None),
            r#"{"method_name":"m","params":[{"script_name":"d","script_key":"k\"","session_uuid":"u"}]}"#
        );
        assert!(
            text(Some(&auth), Some(&*payload))
                .ends_with(r#","session_uuid":"u"},{"type": "Shot"}]}"#)
        );
    }

    #[test]
    fn the_result_is_unwrapped_only_when_it_is_wrapped() {
        for (body, expected) in [
            (r#"{"results": {"a" : 1}}"#, r#"{"a" : 1}"#),
            (r#"{"results": null, "x": 1}"#, "null"),
            (r#" {"version": [8, 0, 0]} "#, r#"{"version": [8, 0, 0]}"#),
            ("[1, 2]\n", "[1, 2]"),
            ("true", "true"),
            (r#"{"exception": false, "results": 1}"#, "1"),
            (r#"{"results": "a\ud800"}"#, r#""a\ud800""#),
        ] {
            assert_eq!(unwrap(body).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn a_fault_is_typed() {
        let auth = unwrap(
            r#"{"exception": true, "message": "Can't authenticate script 'daemon'", "error_code": 102}"#,
        );
        assert!(matches!(auth, Err(SiteError::Auth { code: 102, .. })));
        let fault = unwrap(r#"{"exception": "yes", "error_code": "104"}"#).unwrap_err();
        assert_eq!(fault.to_string(), "the site refused read: Unknown Error");
        assert!(matches!(
            fault,
            SiteError::Fault {
                code: Some(104),
                ..
            }
        ));
        for body in ["", "  ", "{\"results\": ", "nope"] {
            let error = unwrap(body).unwrap_err();
            assert!(
                matches!(error, SiteError::BadJson { .. }),
                "{body}: {error}"
            );
        }
    }

    #[test]
    fn a_login_that_cannot_be_acted_for_says_nothing_against_the_key() {
        for (message, is_key) in [
            ("Can't authenticate script 'pseudo-bot'", true),
            ("Can't authenticate script 'sudo_daemon'", true),
            ("Can't authenticate user 'sudo'.", true),
            ("Cannot 'sudo' - unknown or retired user: 'x'", false),
            ("Cannot 'sudo' - inactive user account: 'x'", false),
            ("The user does not have permission to 'sudo': x", false),
        ] {
            let body =
                serde_json::json!({"exception": true, "message": message, "error_code": 102});
            let body = Bytes::from(body.to_string());
            let error = result(&body, "read", "pseudo-bot").unwrap_err();
            let found = matches!(error, SiteError::Auth { code: 102, .. });
            assert_eq!(found, is_key, "{message}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_whatever_makes_it_panic(body in ".{0,60}|[{}\\[\\]\":,a-z0-9]{0,60}", wrap in proptest::bool::ANY) {
            let body = if wrap { format!("{{\"results\":{body}}}") } else { body };
            if let Ok(result) = result(&Bytes::from(body), "read", "daemon") {
                proptest::prop_assert!(serde_json::from_slice::<&RawValue>(&result).is_ok());
            }
        }
    }
}
