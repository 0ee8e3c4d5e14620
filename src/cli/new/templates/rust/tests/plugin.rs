//! The plugin's test: the plugin as a child, what the daemon would write, no site.

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use sgeventd_plugin::serde_json::{self, Value, json};

struct Started {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Started {
    /// The plugin, started with a config.
    fn with(config: Value) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_plugin"))
            .env("SGEVENTD_PLUGIN", "my_plugin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the plugin's program");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut started = Self {
            child,
            input,
            output,
        };
        started.write(json!({ "id": 1, "method": "initialize", "params": { "protocol": { "supported": [1] } } }));
        assert_eq!(started.read()["result"]["protocol"], 1);
        started.write(json!({ "id": 2, "method": "start", "params": { "config": config } }));
        started.read();
        started
    }

    fn write(&mut self, mut message: Value) {
        message["jsonrpc"] = "2.0".into();
        writeln!(self.input, "{message}").expect("it reads");
    }

    /// Hands it a change of a Task's status.
    fn change(&mut self, status: &str) {
        let event = json!({ "event_type": "Shotgun_Task_Change", "meta": { "entity_id": 7, "new_value": status } });
        let params = json!({ "delivery": { "match": ["0"] }, "event": event });
        self.write(json!({ "id": 3, "method": "event", "params": params }));
    }

    fn read(&mut self) -> Value {
        let line = self.output.next().expect("it lives").expect("text");
        serde_json::from_str(&line).expect("JSON")
    }

    /// Closes its input, as a daemon does that goes; it must end well.
    fn end(mut self) {
        drop(self.input);
        assert!(self.child.wait().expect("our child").success());
    }
}

#[test]
fn a_final_task_is_logged() {
    let mut plugin = Started::with(json!({}));
    plugin.change("fin");
    let call = plugin.read();
    assert_eq!(call["method"], "sg.find_one");
    let found =
        json!({ "type": "Task", "id": 7, "content": "comp", "entity": { "name": "sh010" } });
    plugin.write(json!({ "id": call["id"], "result": found }));
    assert_eq!(
        plugin.read()["params"]["message"],
        "task is fin: comp of sh010"
    );
    assert_eq!(plugin.read()["result"]["status"], "ok");
    plugin.end();
}

#[test]
fn the_config_says_which_status() {
    let mut plugin = Started::with(json!({ "status": "apr" }));
    plugin.change("fin");
    assert_eq!(plugin.read()["result"]["status"], "skip");
    plugin.end();
}
