//! What a plugin may answer to `initialize` and `start`, read: what comes of it, or what is wrong, as a sentence.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Manifest, PROTOCOL, RpcError, message::Started};

/// An odd answer is shown up to this many characters.
const SHOWN_MAX: usize = 1000;

/// What a request of ours was answered with.
pub type Outcome = Result<Box<RawValue>, RpcError>;

/// Reads the answer to `initialize`: the manifest, and its text as it came.
///
/// # Errors
/// What was found and what is allowed.
pub fn initialized(outcome: Outcome) -> Result<(Manifest, Box<RawValue>), String> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        protocol: Option<serde_json::Value>,
        #[serde(borrow)]
        manifest: Option<&'a RawValue>,
    }
    let result = outcome.map_err(|error| {
        format!(
            "its answer to `initialize` is an error: {}",
            shown(&error.to_string())
        )
    })?;
    let wire: Wire<'_> = object(result.get()).ok_or_else(|| {
        let shown = shown(result.get());
        format!("its answer to `initialize` is {shown}; allowed: an object with `protocol` and `manifest`")
    })?;
    let version = wire.protocol.unwrap_or_default();
    if version != serde_json::json!(PROTOCOL) {
        let version = shown(&version.to_string());
        return Err(format!(
            "it speaks version {version} of the protocol; allowed: {PROTOCOL} (`protocol` in its answer to `initialize`)"
        ));
    }
    let raw = wire.manifest.map_or("{}", RawValue::get);
    let manifest: Manifest = serde_json::from_str(raw).map_err(|error| error.to_string())?;
    let raw = RawValue::from_string(raw.to_owned()).map_err(|error| error.to_string())?;
    Ok((manifest, raw))
}

/// Reads the answer to `start`: why the plugin does not want to run here; none: it is ready.
///
/// # Errors
/// What was found and what is allowed.
pub fn started(outcome: Outcome) -> Result<Option<String>, String> {
    let result = outcome.map_err(|error| {
        format!(
            "its answer to `start` is an error: {}",
            shown(&error.to_string())
        )
    })?;
    if result.get() == "null" {
        return Ok(None);
    }
    let started: Started = object(result.get()).ok_or_else(|| {
        let shown = shown(result.get());
        format!("its answer to `start` is {shown}; allowed: {{}}, null, {{\"disable\": \"why\"}}")
    })?;
    Ok(started.disable)
}

/// An object as a type; a list with the members in their order is none.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let text = text.trim_start();
    text.starts_with('{')
        .then(|| serde_json::from_str(text).ok())?
}

/// The beginning of an answer.
fn shown(answer: &str) -> String {
    answer.chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(text: &str) -> Outcome {
        Ok(RawValue::from_string(text.to_owned()).expect("JSON"))
    }

    #[test]
    fn what_each_answer_to_start_means() {
        for ready in ["{}", "null", r#"{"disable":null}"#, r#"{"more":[1]}"#] {
            assert_eq!(started(result(ready)), Ok(None), "{ready}");
        }
        let disabled = started(result(r#"{"disable":"no licence"}"#));
        assert_eq!(disabled, Ok(Some("no licence".to_owned())));
        // Whoever does not want to run is not taken for ready because of how it says so.
        for odd in [
            r#"{"disable":true}"#,
            r#"{"disable":["a"]}"#,
            "7",
            "\"no\"",
            "[\"no\"]",
        ] {
            let said = started(result(odd)).expect_err(odd);
            assert!(said.contains(odd), "{said}");
        }
    }

    #[test]
    fn what_each_answer_to_initialize_means() {
        for (text, words) in [
            ("[]", "is []; allowed: an object"),
            (r#"[1,{}]"#, "is [1,{}]"),
            ("{}", "version null"),
            (r#"{"protocol":2}"#, "version 2"),
            (r#"{"protocol":"1"}"#, "version \"1\""),
            (r#"{"protocol":1,"manifest":[]}"#, "`manifest` is []"),
        ] {
            let said = initialized(result(text)).expect_err(text);
            assert!(said.contains(words), "{text}: {said}");
        }
        let (manifest, raw) = initialized(result(r#"{"protocol":1}"#)).expect("a manifest");
        assert_eq!((manifest.subscriptions.len(), raw.get()), (0, "{}"));
    }
}
