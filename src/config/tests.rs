//! The reader as an operator meets it: the sample, forty mistakes, layers, a reload.

use std::path::Path;

use super::*;
use crate::ident::PluginName;

/// A file that says the least that is allowed, and then `rest`.
fn with(rest: &str) -> String {
    format!(
        "[site]\nurl = \"https://mill.example\"\nscript = \"sgeventd\"\nkey = {{ file = \"site.key\" }}\n{rest}\n"
    )
}

fn findings(text: &str) -> Vec<Finding> {
    parse(text, Path::new("/etc/s/s.toml")).findings().to_vec()
}

/// What a person sees, without the folder.
fn seen(text: &str) -> String {
    let all: Vec<String> = findings(text).iter().map(ToString::to_string).collect();
    all.join("\n").replace("/etc/s/", "")
}

fn config(text: &str) -> Config {
    parse(text, Path::new("/etc/s/s.toml"))
        .accept()
        .expect("a good config")
        .0
}

#[test]
fn the_sample_is_without_findings_and_says_the_defaults() {
    assert_eq!(findings(SAMPLE), []);
    let (sample, d) = (config(SAMPLE), Config::default());
    assert_eq!(sample.site, d.site);
    assert_eq!(sample.poll, d.poll);
    assert_eq!(sample.gap, d.gap);
    assert_eq!(sample.state, d.state);
    assert_eq!(sample.retention, d.retention);
    assert_eq!(sample.log, d.log);
    assert_eq!(sample.alerts, d.alerts);
    assert_eq!(sample.admin, d.admin);
    let mail = sample.mail.clone().expect("the sample has mail");
    assert_eq!(
        (mail.tls, mail.digest, mail.max_per_day),
        (MailTls::Auto, Mail::default().digest, 10)
    );
    let task_status = sample
        .plugin(&PluginName::new("task_status"), None)
        .settings;
    assert_eq!(task_status.delivery.effective(), Delivery::default());
    assert_eq!(task_status.permissions.effective(), Permissions::default());
    assert_eq!(task_status.limits.effective(), Limits::default());
    let d = PluginSettings {
        scripts: task_status.scripts.clone(),
        env: task_status.env.clone(),
        config: task_status.config.clone(),
        delivery: task_status.delivery.clone(),
        permissions: task_status.permissions.clone(),
        limits: task_status.limits.clone(),
        ..PluginSettings::default()
    };
    assert_eq!(task_status, d);
}

/// Every key that the sample shows behind a `#` is known as well.
#[test]
fn the_sample_with_its_comments_taken_off_has_no_unknown_key() {
    let lines = SAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(key)
            if key
                .split_once(" = ")
                .is_some_and(|(name, _)| !name.contains([' ', ':', '['])) =>
        {
            key
        }
        _ => line,
    });
    let text = lines
        .collect::<Vec<_>>()
        .join("\n")
        .replace("{ file = … }", "{ file = \"k\" }");
    let all = findings(&text);
    assert!(
        all.iter()
            .all(|finding| !finding.message.contains(" is no ")),
        "{all:#?}"
    );
    assert!(
        !text.contains("\n# proxy"),
        "the comments were not taken off"
    );
}

#[test]
fn a_finding_shows_the_line_a_caret_and_the_way_out() {
    insta::assert_snapshot!(seen(&with("[poll]\nintervall = \"1s\"\nmax_interval = \"fast\"")), @r#"
    error: s.toml:6:1: `poll.intervall` is no key; allowed here: interval, max_interval, page, start_from, nudge
      6 | intervall = "1s"
        | ^^^^^^^^^
      hint: did you mean `interval`?
    error: s.toml:7:16: `poll.max_interval` is "fast"; allowed: a duration such as "500ms", "1s", "5m", "24h" or "14d"
      7 | max_interval = "fast"
        |                ^^^^^^
    "#);
}

#[test]
fn all_mistakes_come_at_once_and_syntax_errors_too() {
    let text = "[site]\nurl = studio\nscript = 5\nkey = { file = \"k\" }\n[pol]\n[log]\nlevel = \"inof\"\n";
    insta::assert_snapshot!(seen(text), @r#"
    error: s.toml:2:7: this is not TOML: string values must be quoted, expected literal string
      2 | url = studio
        |       ^^^^^^
    error: s.toml:3:10: `site.script` is 5; allowed: a text in quotes
      3 | script = 5
        |          ^
    error: s.toml:5:2: `pol` is no section; allowed here: site, scripts, poll, gap, state, retention, plugins, plugin, order, log, mail, alerts, admin, telemetry
      5 | [pol]
        |  ^^^
      hint: did you mean `poll`?
    error: s.toml:7:9: `log.level` is "inof"; allowed: off, error, warn, info, debug, trace, or levels by part: "info,sgeventd::ingest=debug"
      7 | level = "inof"
        |         ^^^^^^
      hint: did you mean "info"?
    "#);
}

#[test]
fn no_key_is_ever_shown() {
    for rest in [
        "[admin]\ntoken = \"CANARY\"",
        "[admin]\ntoken = \"CANARY",
        "[admin]\ntoken = CANARY",
        "[mail]\nserver = \"smtp://u:CANARY@h\"\nfrom = \"a@b\"\nto = []",
        "[poll]\nnudge = { token = \"CANARY\" }",
        "[alerts]\nwebhook = { url = \"https://hooks/CANARY\" }",
        "[plugin.a]\nenv = { A_KEY = \"CANARY\", B = 1 }",
        "[plugins]\ndefaults = { key = \"CANARY\" }",
    ] {
        let shown = seen(&with(rest));
        assert!(!shown.is_empty(), "{rest}");
        assert!(!shown.contains("CANARY"), "{rest}\n{shown}");
    }
}

/// One mistake each: what stands in the file, and what must be said about it.
#[test]
fn forty_mistakes_are_each_named_with_their_line() {
    for (line, rest, said) in BAD {
        let all = findings(&with(rest));
        let text: Vec<String> = all
            .iter()
            .map(|f| {
                format!(
                    "{}{}",
                    f.message,
                    f.hint
                        .as_deref()
                        .map(|h| format!(" | {h}"))
                        .unwrap_or_default()
                )
            })
            .collect();
        assert_eq!(all.len(), 1, "{rest}\n{text:#?}");
        assert!(text[0].contains(said), "{rest}\n{}\nlacks\n{said}", text[0]);
        assert_eq!(
            all[0].place.as_ref().map(|place| place.line),
            Some(*line),
            "{rest}"
        );
        assert_eq!(all[0].severity, Severity::Error, "{rest}");
    }
}

/// The first line after [`with`]'s own is 5.
const BAD: &[(usize, &str, &str)] = &[
    (
        5,
        "[polll]",
        "`polll` is no section; allowed here: site, scripts, poll",
    ),
    (5, "[polll]", "did you mean `poll`?"),
    (
        6,
        "[poll]\ninterval = 5",
        "`poll.interval` is 5; allowed: a duration",
    ),
    (6, "[poll]\ninterval = \"0s\"", "a duration above zero"),
    (
        6,
        "[poll]\nmax_interval = \"500ms\"",
        "`poll.max_interval` is shorter than `poll.interval`",
    ),
    (6, "[poll]\npage = 9", "a whole number from 10 to 5000"),
    (
        6,
        "[poll]\npage = \"500\"",
        "`poll.page` is \"500\"; allowed: a whole number",
    ),
    (
        6,
        "[poll]\nstart_from = \"newest\"",
        "\"latest\", \"oldest\", an event id",
    ),
    (
        6,
        "[poll]\nnudge = { token = { file = \"k\" } }",
        "`poll.nudge` needs a listener",
    ),
    (
        6,
        "[gap]\ngive_up = \"1m\"",
        "`gap.give_up` is shorter than `gap.timeout`",
    ),
    (
        6,
        "[gap]\nhold = \"1h\"",
        "`gap.hold` is longer than `gap.timeout`",
    ),
    (
        6,
        "[state]\nsettle = 5",
        "`state.settle` is 5; allowed: a table",
    ),
    (
        6,
        "[state]\nsettle = { wait = \"soon\" }",
        "`state.settle.wait` is \"soon\"",
    ),
    (
        6,
        "[retention]\nsize = \"10GB\"",
        "a size such as \"64MiB\" or \"10GiB\"",
    ),
    (
        6,
        "[scripts.bot]\nkey = \"abc\"",
        "`scripts.bot.key` is a value (not shown); allowed: { file",
    ),
    (
        6,
        "[scripts.bot]\nkey = { file = \"a\", env = \"B\" }",
        "a table that names several places",
    ),
    (6, "[scripts.bot]\nkey = {}", "a table that names no place"),
    (
        6,
        "[scripts.bot]\nkey = { flie = \"a\", env = \"B\" }",
        "did you mean `file`?",
    ),
    (5, "[scripts.bot]", "`scripts.bot.key` is missing"),
    (
        6,
        "[plugins]\npaths = \"plugins\"",
        "`plugins.paths` is \"plugins\"; allowed: a list",
    ),
    (
        6,
        "[plugins]\npaths = [\"a\", \"a\"]",
        "allowed: each folder once",
    ),
    (
        6,
        "[plugins]\npaths = [{ mode = \"live\" }]",
        "`plugins.paths[0].path` is missing",
    ),
    (
        6,
        "[plugins]\ndefaults = { mode = \"dry\" }",
        "`plugins.defaults.mode` is \"dry\"; allowed: \"live\", \"dry_run\", \"shadow\"",
    ),
    (
        6,
        "[plugin.a]\nenabled = \"yes\"",
        "true or false, without quotes",
    ),
    (
        6,
        "[plugin.a]\nscripts = [\"bot\"]",
        "add the missing lines:\n[scripts.bot]",
    ),
    (
        6,
        "[plugin.a]\nscripts = [\"sgeventt\"]",
        "did you mean \"sgeventd\"?",
    ),
    (6, "[plugin.a]\nafter = [\"a\"]", "a → a"),
    (
        6,
        "[plugin.a]\nafter = [\"b\"]\n[plugin.b]\nafter = [\"c\"]\n[plugin.c]\nafter = [\"a\"]",
        "a → b → c → a",
    ),
    (
        6,
        "[plugin.a]\ndelivery = { order = \"any\" }",
        "\"all\", \"entity\", \"project\", \"none\"",
    ),
    (
        6,
        "[plugin.a]\ndelivery = { max_in_flight = 300 }",
        "from 1 to 256",
    ),
    (
        6,
        "[plugin.a]\ndelivery = { timeout = \"5m\", ceiling = \"1m\" }",
        "ceiling` is shorter than `timeout`",
    ),
    (6, "[plugin.a]\nlimits = { nice = 40 }", "from -20 to 19"),
    (6, "[plugin.a]\numask = 22", "an octal mask in quotes"),
    (
        6,
        "[plugin.a]\nemails = [\"pipeline\"]",
        "`plugin.a.emails[0]` is \"pipeline\"; allowed: a mail address",
    ),
    (
        6,
        "[plugin.a]\nemails = \"a@b.c\"",
        "true, false, or a list",
    ),
    (
        6,
        "[plugin.a]\ncommand = []",
        "a list that begins with the program",
    ),
    (
        6,
        "[plugin.a]\nenv = { K = { file = \"k\" } }",
        "only with `direct = true`",
    ),
    (
        6,
        "[plugin.a]\nenv = { SGEVENTD_PLUGIN = \"b\" }",
        "a variable that the daemon does not set",
    ),
    (
        6,
        "[plugin.a]\nenv = { N = 5 }",
        "`plugin.a.env.N` is 5; allowed: a text in quotes",
    ),
    (5, "[plugin.\"../x\"]", "a plugin's name: a file stem"),
    (
        6,
        "[plugin.a]\n[plugin.a]",
        "this is not TOML: duplicate key",
    ),
    (
        6,
        "[order]\nupstream = [\"/opt/p\"]",
        "a folder of `plugins.paths`",
    ),
    (6, "[log]\nlevel = \"inof\"", "did you mean \"info\"?"),
    (
        6,
        "[log]\nformat = \"xml\"",
        "\"auto\", \"text\", \"json\", \"upstream\", \"journald\"",
    ),
    (
        5,
        "[mail]\nfrom = \"a@b.c\"\nto = [\"a@b.c\"]",
        "`mail.server` is missing",
    ),
    (
        6,
        "[mail]\nserver = \"mail.studio\"\nfrom = \"a@b.c\"\nto = [\"a@b.c\"]",
        "smtp://host:port, smtps://host:port, or \"sendmail\"",
    ),
    (
        9,
        "[mail]\nserver = \"sendmail\"\nfrom = \"a@b.c\"\nto = [\"a@b.c\"]\nusername = \"u\"",
        "`mail.password` is not; allowed: both or neither",
    ),
    (
        6,
        "[admin]\nhttp = \"0.0.0.0:80\"",
        "an address of this machine and a port",
    ),
    (
        6,
        "[telemetry]\notlp = \"localhost:4317\"",
        "a URL that begins with http:// or https://",
    ),
    (7, "[site.more]\nx = 1\n[poll\n", "this is not TOML"),
];

#[test]
fn the_site_is_required_and_its_address_is_bare() {
    let said = seen("[poll]\n");
    for key in ["site.url", "site.script", "site.key"] {
        assert!(said.contains(&format!("`{key}` is missing")), "{said}");
    }
    let said = seen(&with("").replace("mill.example", "mill.example/page/1"));
    assert!(
        said.contains("hint: url = \"https://mill.example\""),
        "{said}"
    );
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let config = config(&with(
        "[state]\ndir = \"state\"\n[plugins]\npaths = [\"../p\"]\npython = \"python3.11\"",
    ));
    assert_eq!(
        config.site.key.place(),
        &KeyUse::File("/etc/s/site.key".into())
    );
    assert_eq!(config.state.dir, Path::new("/etc/s/state"));
    assert_eq!(config.plugins.paths[0].path, Path::new("/etc/s/../p"));
    assert_eq!(
        config.plugins.python.as_deref(),
        Some(Path::new("python3.11"))
    );
}

const LAYERS: &str = r#"[plugins]
user = "sg"
defaults = { umask = "002", delivery = { timeout = "3m", max_attempts = 2 }, env = { A = "1" } }
paths = ["/a", { path = "/b", umask = "077", delivery = { timeout = "4m" } }]
[plugin."c.d"]
delivery = { on_error = "stop" }
env = { B = "2" }
"#;

#[test]
fn layers_are_laid_over_each_other_and_say_their_line() {
    let config = config(&with(LAYERS));
    let plugin = config.plugin(&PluginName::new("c.d"), Some(1));
    let delivery = plugin.settings.delivery.effective();
    assert_eq!(
        (plugin.settings.umask, plugin.settings.user.as_deref()),
        (0o077, Some("sg"))
    );
    assert_eq!(
        (
            delivery.timeout.as_secs(),
            delivery.max_attempts,
            delivery.on_error
        ),
        (240, 2, OnError::Stop)
    );
    assert_eq!(plugin.settings.env.len(), 2);
    let line = |key: &str| plugin.origins.get(key).map(|place| place.line);
    assert_eq!(
        [
            "user",
            "umask",
            "delivery.timeout",
            "delivery.max_attempts",
            "delivery.on_error"
        ]
        .map(line),
        [Some(6), Some(8), Some(8), Some(7), Some(10)]
    );
    assert_eq!(
        config
            .plugin(&PluginName::new("c.d"), Some(0))
            .settings
            .umask,
        0o002
    );
}

#[test]
fn a_reload_names_what_changed_and_what_must_wait() {
    let old = config(&with(LAYERS));
    let (a, c) = (PluginName::new("a"), PluginName::new("c.d"));
    let known = [(a.clone(), Some(0)), (c.clone(), Some(1))];
    assert!(diff(&old, &config(&with(&format!("# moved\n{LAYERS}"))), &known).is_empty());
    for (from, to, plugins, restart, applied) in [
        ("\"stop\"", "\"skip\"", vec![c.clone()], vec![], vec![]),
        (
            "umask = \"002\"",
            "umask = \"007\"",
            vec![a.clone()],
            vec![],
            vec![],
        ),
        (
            "\"/a\", ",
            "",
            vec![a.clone()],
            vec![],
            vec!["plugins.paths"],
        ),
        (
            "\"/a\"",
            "\"/z\", \"/a\"",
            vec![],
            vec![],
            vec!["plugins.paths"],
        ),
        ("user = \"sg\"", "user = \"o\"", vec![a, c], vec![], vec![]),
        (
            "mill.example",
            "loft.example",
            vec![],
            vec!["site.url"],
            vec![],
        ),
        (
            "[plugins]",
            "[state]\ndir = \"/s\"\n[log]\nlevel = \"debug\"\n[plugins]",
            vec![],
            vec!["state.dir"],
            vec!["log.level"],
        ),
        (
            "[plugins]",
            "[poll]\ninterval = \"2s\"\n[gap]\nhold = \"1s\"\n[retention]\nage = \"1d\"\n[alerts]\nlag = \"1m\"\n[scripts.x]\nkey = { file = \"/x\" }\n[plugins]",
            vec![],
            vec![],
            vec![
                "poll.interval",
                "gap.hold",
                "retention.age",
                "alerts.lag",
                "scripts",
            ],
        ),
    ] {
        let new = config(&with(LAYERS).replacen(from, to, 1));
        assert_eq!(
            diff(&old, &new, &known),
            Diff {
                plugins,
                restart,
                applied
            },
            "{from} to {to}"
        );
        // What is applied differs from the new one by nothing but what needs a restart.
        let all = diff(&old, &new, &known);
        let now = super::applied(&old, new.clone());
        let left = diff(&now, &new, &[]);
        assert_eq!((left.restart, left.applied), (all.restart, vec![]));
        assert_eq!(diff(&old, &now, &known).restart, [""; 0]);
    }
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let said = |path: &Path| load(path).findings()[0].to_string();
    assert!(
        said(Path::new("/nowhere/s.toml"))
            .starts_with("error: there is no config file /nowhere/s.toml")
    );
    assert!(said(Path::new("/")).contains("/ is a folder, not a config file"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    std::fs::write(&path, b"# a\n# \xff\n").unwrap();
    assert!(said(&path).contains("s.toml:2: the file is not UTF-8"));
}

#[test]
fn a_missing_folder_is_refused_by_check_and_passed_by_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.toml");
    std::fs::write(dir.path().join("site.key"), "canary-site-key").unwrap();
    std::fs::write(&path, with("[plugins]\npaths = [\"gone\"]\nuser = \"sg\"")).unwrap();
    let open = load(&path)
        .accept()
        .expect_err("the key file is open to others");
    assert!(
        open.iter()
            .any(|finding| finding.message.contains("chmod 600")),
        "{open:#?}"
    );
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(
        dir.path().join("site.key"),
        std::fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let (_, noted) = load(&path).accept().expect("run goes on");
    assert_eq!(noted.len(), 2, "{noted:#?}");
    assert!(noted[0].message.contains("gone: there is no such folder"));
    assert!(noted[1].message.contains("there is no user \"sg\""));
    assert_eq!(noted[0].place.as_ref().map(|place| place.line), Some(6));
    load(&path)
        .accept_ready()
        .expect_err("check-config does not");
}
