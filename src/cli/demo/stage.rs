//! What the demo stands on: a folder with config, key and plugins.

use std::{
    fs, io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::plugin;

/// The plugins that are files: folder, file, text.
const PLUGINS: [(&str, &str, &str); 3] = [
    (
        "shell_notes",
        "shell_notes.sh",
        include_str!("../../../examples/shell_notes/shell_notes.sh"),
    ),
    (
        "task_status",
        "task_status.py",
        include_str!("../../../examples/task_status/task_status.py"),
    ),
    (
        "flaky",
        "flaky.py",
        include_str!("../../../examples/flaky/flaky.py"),
    ),
];
/// The line of `flaky.py` that is the bug, and what mends it.
const BUG: (&str, &str) = ("CRASH_ON = \"fin\"", "CRASH_ON = None");
/// The script that the daemon uses on the demo's site.
pub(super) const SCRIPT: &str = "sgeventd";

/// The demo's folder.
pub(super) struct Stage {
    pub(super) dir: PathBuf,
    pub(super) config: PathBuf,
    pub(super) traffic: PathBuf,
    pub(super) has_python: bool,
}

impl Stage {
    /// Builds everything below `dir`.
    pub(super) fn build(dir: &Path, url: &str, key: &str, first: i64) -> io::Result<Self> {
        fs::create_dir_all(dir.join("plugins"))?;
        let dir = dir.canonicalize()?;
        let has_python = has_python();
        for (folder, file, text) in PLUGINS {
            if file.ends_with(".py") && !has_python {
                continue;
            }
            let folder = dir.join("plugins").join(folder);
            fs::create_dir_all(&folder)?;
            let path = folder.join(file);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            fs::write(
                folder.join("plugin.toml"),
                format!("command = [\"./{file}\"]\n"),
            )?;
        }
        write_secret(&dir.join("site.key"), key)?;
        let config = dir.join("sgeventd.toml");
        fs::write(&config, config_text(url, first)?)?;
        Ok(Self {
            traffic: dir.join("traffic.jsonl"),
            config,
            dir,
            has_python,
        })
    }

    /// Mends the plugin that crashes, as a person would in an editor.
    pub(super) fn mend(&self) -> io::Result<()> {
        let file = self.flaky();
        let text = fs::read_to_string(&file)?;
        fs::write(&file, text.replace(BUG.0, BUG.1))
    }

    /// The plugin that crashes.
    pub(super) fn flaky(&self) -> PathBuf {
        self.dir.join("plugins/flaky/flaky.py")
    }
}

fn has_python() -> bool {
    let check = "import sys; sys.exit(sys.version_info < (3, 7))";
    let run = Command::new("python3")
        .args(["-c", check])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

fn write_secret(path: &Path, key: &str) -> io::Result<()> {
    use io::Write as _;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{key}")
}

fn config_text(url: &str, first: i64) -> io::Result<String> {
    let exe = std::env::current_exe()?;
    let exe = serde_json::to_string(&exe.display().to_string())?;
    let name = plugin::NAME;
    Ok(format!(
        r#"# The demo's config: what a real one looks like, smaller. `sgeventd check-config` explains every mistake.

[site]
url = "{url}"
script = "{SCRIPT}"
key = {{ file = "site.key" }}

[poll]
interval = "300ms"
max_interval = "1s"
start_from = {first}

[gap]
timeout = "5s"
give_up = "20s"

[state]
dir = "state"

[plugins]
paths = ["plugins"]

[plugin.{name}]
command = [{exe}, "__demo-plugin"]

[log]
file = "sgeventd.log"

[log.traffic]
file = "traffic.jsonl"

[admin]
socket = "admin.sock"
"#
    ))
}
