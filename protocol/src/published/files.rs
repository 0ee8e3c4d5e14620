//! The published files, from the table and the types.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    declare,
    failures::data_of,
    methods::{Kind, Method, Side, When, all},
};
use crate::ErrorCode;

const ID: &str = "https://sgeventd.dev/protocol/v1/schema.json";

/// Name and content of each generated file.
pub(super) fn all_files() -> Vec<(&'static str, String)> {
    let methods = all();
    let all = published(&methods);
    vec![
        ("schema.json", pretty(&all.schema)),
        ("meta.json", pretty(&meta(&all.rows, &all.errors))),
        ("openrpc.daemon.json", pretty(&openrpc(Side::Daemon, &all))),
        ("openrpc.plugin.json", pretty(&openrpc(Side::Plugin, &all))),
    ]
}

/// A row of `meta.json`.
#[derive(Serialize)]
struct Row {
    method: &'static str,
    side: Side,
    kind: Kind,
    when: When,
    feature: Option<&'static str>,
    params: Value,
    result: Option<Value>,
    summary: &'static str,
}

/// An error in `meta.json`.
#[derive(Serialize)]
struct Failing {
    code: i64,
    meaning: &'static str,
    /// The schema of its `data`, when it has some.
    data: Option<Value>,
}

/// Everything that the files are made of.
struct Published {
    schema: Value,
    rows: Vec<Row>,
    errors: Vec<Failing>,
}

fn published(methods: &[Method]) -> Published {
    let mut generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let rows: Vec<Row> = methods
        .iter()
        .map(|method| Row {
            method: method.name,
            side: method.side,
            kind: method.kind,
            when: method.when,
            feature: method.feature,
            params: (method.params)(&mut generator).into(),
            result: method.result.map(|make| make(&mut generator).into()),
            summary: method.summary,
        })
        .collect();
    let manifest = generator.subschema_for::<declare::Manifest>();
    let errors = ErrorCode::ALL.iter().map(|(code, words)| Failing {
        code: *code as i64,
        meaning: words.trim(),
        data: data_of(*code).map(|make| make(&mut generator).into()),
    });
    let errors: Vec<Failing> = errors.collect();
    let mut defs: Map<String, Value> = generator.take_definitions(true);
    defs.insert(
        "Id".into(),
        json!({
            "description": "Echoed byte for byte. The daemon's are integers from 1,000,001 up.",
            "type": ["string", "number"],
        }),
    );
    defs.insert(
        "Response".into(),
        json!({
            "description": "The answer to a request, whoever asked.",
            "type": "object",
            "properties": {
                "jsonrpc": {"const": "2.0"},
                "id": {"$ref": "#/$defs/Id"},
                "result": true,
                "error": {"$ref": "#/$defs/Error"},
            },
            "required": ["jsonrpc", "id"],
            "oneOf": [{"required": ["result"]}, {"required": ["error"]}],
        }),
    );
    let codes: Vec<i64> = errors.iter().map(|error| error.code).collect();
    defs.insert("Error".into(), json!({
        "description": "JSON-RPC's error object. Codes of the protocol are listed; others are a plugin's own.",
        "type": "object",
        "properties": {
            "code": {"type": "integer", "examples": codes},
            "message": {"type": "string"},
            "data": {"description": "By code, as `errors` of `meta.json` says."},
        },
        "required": ["code", "message"],
    }));
    for (name, side) in [("FromDaemon", Side::Daemon), ("FromPlugin", Side::Plugin)] {
        let sent = rows
            .iter()
            .filter(|row| row.side == side || row.side == Side::Both);
        let mut lines: Vec<Value> = sent.map(line).collect();
        lines.push(json!({"$ref": "#/$defs/Response"}));
        defs.insert(
            name.into(),
            json!({
                "description": "One line of this side.",
                "oneOf": lines,
            }),
        );
    }
    let _ref = manifest;
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "sgeventd plugin protocol, version 1",
        "description": "One line in either direction. Unknown members are ignored everywhere; `_meta` is reserved in every params and result.",
        "anyOf": [{"$ref": "#/$defs/FromDaemon"}, {"$ref": "#/$defs/FromPlugin"}],
        "$defs": defs,
    });
    Published {
        schema,
        rows,
        errors,
    }
}

fn line(row: &Row) -> Value {
    let mut line = json!({
        "title": row.method,
        "type": "object",
        "properties": {
            "jsonrpc": {"const": "2.0"},
            "method": {"const": row.method},
            "params": row.params,
        },
        "required": ["jsonrpc", "method"],
    });
    match row.kind {
        Kind::Request => {
            line["properties"]["id"] = json!({"$ref": "#/$defs/Id"});
            line["required"] = json!(["jsonrpc", "id", "method"]);
        }
        Kind::Notification => line["not"] = json!({"required": ["id"]}),
    }
    line
}

fn meta(rows: &[Row], errors: &[Failing]) -> Value {
    json!({
        "protocol": crate::PROTOCOL,
        "methods": rows,
        "errors": errors,
        "features": ["cancel", "progress"],
        "first_request_id": crate::FIRST_REQUEST_ID,
        "line_bytes": crate::codec::LINE_MAX,
    })
}

/// What one side serves: the requests and notifications that the other sends.
fn openrpc(server: Side, all: &Published) -> Value {
    let (name, words) = match server {
        Side::Daemon => ("the daemon", "What plugins call."),
        _ => ("a plugin", "What the daemon calls."),
    };
    let served = all.rows.iter().filter(|row| row.side != server);
    let methods: Vec<Value> = served.map(openrpc_method).collect();
    let mut schemas = all.schema["$defs"].clone();
    rewrite(&mut schemas);
    let errors: Map<String, Value> = all.errors.iter().map(openrpc_error).collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": format!("sgeventd plugin protocol, {name}"),
            "description": words,
            "version": "1.0.0",
        },
        "methods": methods,
        "components": {"schemas": schemas, "errors": errors},
    })
}

/// An error by its code; OpenRPC has no place for the schema of its data but one of our own.
fn openrpc_error(error: &Failing) -> (String, Value) {
    let mut data = error.data.clone().unwrap_or_default();
    rewrite(&mut data);
    let shown = json!({"code": error.code, "message": error.meaning, "x-data-schema": data});
    (error.code.to_string(), shown)
}

fn openrpc_method(row: &Row) -> Value {
    let mut params = row.params.clone();
    rewrite(&mut params);
    let mut method = json!({
        "name": row.method,
        "summary": row.summary,
        "paramStructure": "by-name",
        // By name, as one object: OpenRPC has no place for a schema of all of them but this.
        "params": [{"name": "params", "schema": params}],
        "x-params-are-the-object": true,
        "x-when": row.when,
    });
    if let Some(result) = &row.result {
        let mut result = result.clone();
        rewrite(&mut result);
        method["result"] = json!({"name": "result", "schema": result});
    }
    method
}

/// References into the schema become references into the components.
fn rewrite(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(text) if key == "$ref" => {
                        *text = text.replace("#/$defs/", "#/components/schemas/");
                    }
                    other => rewrite(other),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(rewrite),
        _ => {}
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("plain data is JSON") + "\n"
}
