//! How a made-up site is reached, ready to be pasted: our config, Python, curl, upstream's `shotgunEventDaemon.conf`.
//!
//! In: address, script and key. Out: text that is right whatever stands in them.
//! Never: a file; nothing is written for anybody.

use std::path::Path;

use serde_json::json;

use crate::way::quoted;

/// The variable from which our config takes the key.
const KEY_VARIABLE: &str = "SANDBOX_KEY";
/// Wide enough for the longest heading, narrow enough for every terminal.
const RULE: usize = 78;

/// What a client needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access<'a> {
    /// `http://127.0.0.1:4000`
    pub(super) url: &'a str,
    /// The script's name.
    pub(super) script: &'a str,
    /// Its key.
    pub(super) key: &'a str,
}

/// One form.
pub(super) struct Form {
    /// What it is and where it goes.
    pub(super) title: &'static str,
    /// What is pasted.
    pub(super) text: String,
}

impl Access<'_> {
    /// All forms; `here` is the folder that paths in them begin with.
    pub(super) fn forms(&self, here: &Path) -> [Form; 4] {
        [
            Form {
                title: "sgeventd: a config, and the daemon runs on it",
                text: self.sgeventd(),
            },
            Form {
                title: "Python: shotgun_api3",
                text: self.python(),
            },
            Form {
                title: "curl: the newest events",
                text: self.curl(),
            },
            Form {
                title: "upstream: shotgunEventDaemon.conf",
                text: self.upstream(here),
            },
        ]
    }

    /// Makes a config and a folder for plugins; the key stays in the environment, where our config allows it to be.
    fn sgeventd(&self) -> String {
        let (key, url, script) = (quoted(self.key), toml(self.url), toml(self.script));
        format!(
            r#"export {KEY_VARIABLE}={key}
mkdir -p plugins
cat > sgeventd.toml <<'END'
[site]
url = {url}
script = {script}
key = {{ env = "{KEY_VARIABLE}" }}

[state]
dir = "state"

[plugins]
paths = ["plugins"]

[admin]
socket = "admin.sock"
END
sgeventd run -c sgeventd.toml
"#
        )
    }

    fn python(&self) -> String {
        // A string of JSON is one of Python, too.
        let [url, script, key] = [self.url, self.script, self.key].map(|text| json!(text));
        format!(
            "import shotgun_api3\n\n\
             sg = shotgun_api3.Shotgun({url}, script_name={script}, api_key={key})\n\
             print(sg.find_one(\"Project\", [], [\"name\"]))\n"
        )
    }

    fn curl(&self) -> String {
        let request = json!({"method_name": "read", "params": [
            {"script_name": self.script, "script_key": self.key},
            {
                "type": "EventLogEntry",
                "return_fields": ["event_type", "attribute_name", "entity", "user", "created_at", "description"],
                "sorts": [{"field_name": "id", "direction": "desc"}],
                "paging": {"entities_per_page": 5, "current_page": 1},
            },
        ]});
        let request = quoted(&request.to_string());
        let url = quoted(&format!("{}/api3/json", self.url));
        format!("curl -s -H 'Content-Type: application/json' --data {request} {url}\n")
    }

    fn upstream(&self, here: &Path) -> String {
        let [url, script, key] = [self.url, self.script, self.key].map(ini);
        let here = ini(&here.display().to_string());
        format!(
            "[daemon]\n\
             pidFile = {here}/shotgunEventDaemon.pid\n\
             eventIdFile = {here}/shotgunEventDaemon.id\n\
             logMode = 1\n\
             logPath = {here}\n\
             logFile = shotgunEventDaemon\n\
             logging = 20\n\
             timing_log = off\n\
             conn_retry_sleep = 60\n\
             max_conn_retries = 5\n\
             fetch_interval = 1\n\
             max_event_batch_size = 500\n\
             \n\
             [shotgun]\n\
             server = {url}\n\
             name = {script}\n\
             key = {key}\n\
             use_session_uuid = True\n\
             \n\
             [plugins]\n\
             paths = {here}/plugins\n\
             \n\
             [emails]\n\
             enabled = False\n"
        )
    }
}

/// A heading that a shell, Python and an INI file all read as a comment.
pub(super) fn heading(title: &str) -> String {
    let rule = "-".repeat(RULE.saturating_sub(title.len() + 5));
    format!("# {title} {rule}")
}

/// Names and keys that every form can carry.
pub(super) fn carried(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.trim() == text && !text.contains(char::is_control);
    if is_plain {
        return Ok(text.to_owned());
    }
    Err(
        "allowed: a text that is not empty, without line breaks, and without blanks at its ends"
            .into(),
    )
}

fn toml(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// A value of Python's `ConfigParser`, in which a percent sign begins the name of another value.
fn ini(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: Access<'_> = Access {
        url: "http://127.0.0.1:4000",
        script: r#"it's "one" \ of $them"#,
        key: "50%(x)s",
    };

    #[test]
    fn odd_names_are_quoted_as_each_form_wants_it() {
        let [sgeventd, python, curl, upstream] = ODD.forms(Path::new("/tmp/x")).map(|f| f.text);
        assert!(sgeventd.contains("export SANDBOX_KEY='50%(x)s'\n"));
        assert!(
            sgeventd.contains("script = '''it's \"one\" \\ of $them'''\n"),
            "{sgeventd}"
        );
        assert!(python.contains(r#"script_name="it's \"one\" \\ of $them""#));
        assert!(
            curl.contains(r#""script_name":"it'\''s \"one\" \\ of $them""#),
            "{curl}"
        );
        assert!(upstream.contains("name = it's \"one\" \\ of $them\nkey = 50%%(x)s\n"));
    }

    #[test]
    fn what_an_ini_file_cannot_hold_is_refused() {
        for text in ["", " x", "x ", "a\nb", "a\tb"] {
            assert!(carried(text).is_err(), "{text:?}");
        }
        assert_eq!(carried("a b").as_deref(), Ok("a b"));
    }
}
