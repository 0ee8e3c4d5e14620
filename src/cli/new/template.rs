//! The files of a new plugin for each language; they lie in `templates/` and work there under the name `my_plugin`.

use crate::cli::args::Lang;

/// What is replaced by the plugin's name, in texts and in names of files.
pub(super) const NAME: &str = "my_plugin";

/// What is written for one language.
pub(super) struct Template {
    /// In a person's words.
    pub(super) language: &'static str,
    /// The file to edit.
    pub(super) main: &'static str,
    /// What runs its test, in its folder.
    pub(super) test: &'static str,
    pub(super) files: &'static [File],
}

/// One file.
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) mode: u32,
}

macro_rules! files {
    ($folder:literal: $($name:literal from $from:literal $mode:literal),+ $(,)?) => {
        &[$(File { name: $name, text: include_str!(concat!("templates/", $folder, "/", $from)), mode: $mode }),+]
    };
}

const PYTHON_TEST: &str = "PYTHONPATH=$(sgeventd sdk python) python3 -m unittest";

impl Template {
    pub(super) fn of(lang: Lang) -> Self {
        match lang {
            Lang::Python => Self {
                language: "Python",
                main: "plugin.py",
                test: PYTHON_TEST,
                files: files!["python":
                    "plugin.py" from "plugin.py" 0o755,
                    "test_plugin.py" from "test_plugin.py" 0o644,
                    "plugin.toml" from "plugin.toml" 0o644,
                    "README.md" from "README.md" 0o644,
                ],
            },
            Lang::Rust => Self {
                language: "Rust",
                main: "src/main.rs",
                test: "cargo test && cargo build --release",
                files: files!["rust":
                    "src/main.rs" from "src/main.rs" 0o644,
                    "tests/plugin.rs" from "tests/plugin.rs" 0o644,
                    "Cargo.toml" from "Cargo.template.toml" 0o644,
                    ".gitignore" from "gitignore" 0o644,
                    "plugin.toml" from "plugin.toml" 0o644,
                    "README.md" from "README.md" 0o644,
                ],
            },
            Lang::Node => Self {
                language: "JavaScript for Node.js",
                main: "plugin.mjs",
                test: "node --test",
                files: files!["node":
                    "plugin.mjs" from "plugin.mjs" 0o755,
                    "plugin.test.mjs" from "plugin.test.mjs" 0o644,
                    "plugin.toml" from "plugin.toml" 0o644,
                    "README.md" from "README.md" 0o644,
                ],
            },
            Lang::Shell => Self {
                language: "sh",
                main: "plugin.sh",
                test: "./test.sh",
                files: files!["shell":
                    "plugin.sh" from "plugin.sh" 0o755,
                    "test.sh" from "test.sh" 0o755,
                    "plugin.toml" from "plugin.toml" 0o644,
                    "README.md" from "README.md" 0o644,
                ],
            },
            Lang::Upstream => Self {
                language: "Python, in the style of shotgunEvents",
                main: "the one with registerCallbacks",
                test: PYTHON_TEST,
                files: files!["upstream":
                    "my_plugin.py" from "my_plugin.py" 0o644,
                    "plugin.py" from "plugin.py" 0o755,
                    "test_plugin.py" from "test_plugin.py" 0o644,
                    "plugin.toml" from "plugin.toml" 0o644,
                    "README.md" from "README.md" 0o644,
                ],
            },
        }
    }
}
