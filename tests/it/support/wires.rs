//! What a daemon and its plugins said, line by line, held against the published schema by a validator of others.
//!
//! All that the daemon says must be what is published. What a plugin says may be wrong, the worst are in these tests: what the
//! schema refuses the daemon must refuse, too.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
};

use jsonschema::Validator;
use serde_json::{Value, json, value::RawValue};
use sgeventd_protocol::{Answer, RpcError, handshake};

/// What was seen: the lines by the method that they ask, tell or answer.
pub(crate) type Seen = BTreeMap<String, usize>;

/// Whether what a plugin says may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plugins {
    AreRight,
    MayBeWrong,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::read);

/// The published method table and schema.
pub(crate) struct Contract {
    schema: Value,
    methods: HashMap<String, Value>,
    /// The schema of an error's data, by its code.
    failures: HashMap<i64, Value>,
    made: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/v1");
        let read = |name: &str| -> Value {
            let text = fs::read_to_string(folder.join(name)).expect(name);
            serde_json::from_str(&text).expect("JSON")
        };
        let meta = read("meta.json");
        let rows = meta["methods"].as_array().expect("rows").iter();
        let named = |row: &Value| {
            (
                row["method"].as_str().expect("a name").to_owned(),
                row.clone(),
            )
        };
        let errors = meta["errors"].as_array().expect("errors").iter();
        let of_code = |error: &Value| {
            (
                error["code"].as_i64().expect("a code"),
                error["data"].clone(),
            )
        };
        Self {
            schema: read("schema.json"),
            methods: rows.map(named).collect(),
            failures: errors.map(of_code).collect(),
            made: Mutex::default(),
        }
    }

    /// The names of all methods.
    pub(crate) fn methods() -> Vec<&'static str> {
        let mut names: Vec<&str> = CONTRACT.methods.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    /// What is wrong with a value by a part of the schema; none: nothing.
    fn wrong(&self, part: &Value, value: &Value) -> Option<String> {
        let key = part.to_string();
        let made = self
            .made
            .lock()
            .expect("no panic inside")
            .get(&key)
            .cloned();
        let valid = made.unwrap_or_else(|| {
            let schema = json!({ "allOf": [part], "$defs": self.schema["$defs"] });
            let valid = Arc::new(jsonschema::draft202012::new(&schema).expect("a schema"));
            let mut made = self.made.lock().expect("no panic inside");
            made.insert(key, Arc::clone(&valid));
            valid
        });
        valid.validate(value).err().map(|error| error.to_string())
    }

    /// What is wrong with an error of the daemon: a code that is not published, or data that its code does not have.
    fn wrong_error(&self, error: &Value) -> Option<String> {
        let code = error["code"].as_i64()?;
        let Some(part) = self.failures.get(&code) else {
            return Some(format!("{code} is not published"));
        };
        match (part, error.get("data")) {
            (_, None) => None,
            (Value::Null, Some(data)) => Some(format!("{code} has no data, and not {data}")),
            (part, Some(data)) => self.wrong(part, data),
        }
    }

    /// The whole line by the side's list.
    fn wrong_line(&self, side: &str, message: &Value) -> Option<String> {
        let lines = self.schema["$defs"][side]["oneOf"].as_array();
        let of_method = |line: &&Value| match message.get("method") {
            Some(method) => line["title"] == *method,
            None => line["$ref"] == "#/$defs/Response",
        };
        match lines.into_iter().flatten().find(of_method) {
            Some(line) => self.wrong(line, message),
            // Whoever does not know a notification of this kind ignores it.
            None if message["method"].as_str()?.starts_with("$/") => None,
            None => Some("no such method".to_owned()),
        }
    }
}

/// Judges every wire of a folder.
pub(crate) fn judge_all(folder: &Path, plugins: Plugins) -> Seen {
    let mut seen = Seen::new();
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        judge(&file.path(), plugins, &mut seen);
    }
    seen
}

/// Judges one wire.
pub(crate) fn judge(file: &Path, plugins: Plugins, seen: &mut Seen) {
    let text = fs::read(file).expect("a wire");
    let text = String::from_utf8_lossy(&text);
    let mut wire = Wire {
        plugins,
        asked: HashMap::new(),
        doubtful: HashMap::new(),
        seen,
    };
    // A daemon that was killed may have left half a line.
    for (at, line) in text.split_inclusive('\n').enumerate() {
        if let Ok(line) = serde_json::from_str(line)
            && let Err(what) = wire.line(&line)
        {
            let shown: String = line.to_string().chars().take(2000).collect();
            panic!("{}:{}: {what}\n{shown}", file.display(), at + 1);
        }
    }
}

struct Wire<'s> {
    plugins: Plugins,
    /// What was asked and is not answered, by the side and the id as it was written.
    asked: HashMap<(String, String), String>,
    /// Calls whose params the schema refuses, by id.
    doubtful: HashMap<String, String>,
    seen: &'s mut Seen,
}

impl Wire<'_> {
    fn line(&mut self, line: &Value) -> Result<(), String> {
        let (from, message) = (&line["from"], &line["message"]);
        if !message.is_object() {
            return match *from == "daemon" && line.get("bytes").is_none() {
                true => Err("the daemon says what is no message".to_owned()),
                false => Ok(()),
            };
        }
        match from.as_str() {
            Some("daemon") => self.of_daemon(message),
            _ => self.of_plugin(message),
        }
    }

    fn of_daemon(&mut self, message: &Value) -> Result<(), String> {
        CONTRACT
            .wrong_line("FromDaemon", message)
            .map_or(Ok(()), Err)?;
        if let Some(what) = CONTRACT.wrong_error(&message["error"]) {
            return Err(what);
        }
        let id = message["id"].to_string();
        if let Some(method) = message["method"].as_str() {
            self.count(method);
            self.asked
                .insert(("daemon".to_owned(), id), method.to_owned());
            return Ok(());
        }
        let method = self.asked.remove(&("plugin".to_owned(), id.clone()));
        let doubt = self.doubtful.remove(&id);
        let (Some(method), Some(result)) = (method, message.get("result")) else {
            return Ok(());
        };
        match doubt {
            Some(doubt) => Err(format!(
                "{method} is served though the schema says: {doubt}"
            )),
            None => self.result(&method, result),
        }
    }

    fn of_plugin(&mut self, message: &Value) -> Result<(), String> {
        if self.plugins == Plugins::AreRight {
            let is_unknown = |method: &str| !CONTRACT.methods.contains_key(method);
            let is_tried = message["method"].as_str().is_some_and(is_unknown);
            let wrong = CONTRACT.wrong_line("FromPlugin", message);
            wrong.filter(|_| !is_tried).map_or(Ok(()), Err)?;
        }
        let id = message["id"].to_string();
        if let Some(method) = message["method"].as_str() {
            if let Some(row) = CONTRACT.methods.get(method) {
                self.count(method);
                let params = message.get("params").cloned().unwrap_or_else(|| json!({}));
                if let Some(doubt) = CONTRACT.wrong(&row["params"], &params) {
                    self.doubtful.insert(id.clone(), doubt);
                }
            }
            self.asked
                .insert(("plugin".to_owned(), id), method.to_owned());
            return Ok(());
        }
        let method = self.asked.remove(&("daemon".to_owned(), id));
        match (method, message.get("result"), message.get("error")) {
            (Some(method), Some(result), None) => match self.result(&method, result) {
                Err(what) if self.plugins == Plugins::AreRight || is_taken(&method, result) => {
                    Err(what)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn count(&mut self, method: &str) {
        *self.seen.entry(method.to_owned()).or_default() += 1;
    }

    fn result(&self, method: &str, result: &Value) -> Result<(), String> {
        let Some(row) = CONTRACT.methods.get(method) else {
            return Ok(());
        };
        match CONTRACT.wrong(&row["result"], result) {
            Some(what) => Err(format!("the result of {method}: {what}")),
            None => Ok(()),
        }
    }
}

/// Whether the daemon takes an answer of a plugin for a good one.
fn is_taken(method: &str, result: &Value) -> bool {
    let raw = RawValue::from_string(result.to_string()).expect("JSON");
    let outcome: Result<Box<RawValue>, RpcError> = Ok(raw);
    match method {
        "event" => !matches!(Answer::from_result(&result.to_string()), Answer::Failed(_)),
        "initialize" => handshake::initialized(outcome).is_ok(),
        "start" => handshake::started(outcome).is_ok(),
        _ => false,
    }
}
