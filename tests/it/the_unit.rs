//! The packaged unit is one that systemd understands, and hardened as far as plugins bear.

use std::{path::Path, process::Command};

/// `systemd-analyze security` of the unit, in tenths; a directive that goes missing raises it.
const EXPOSURE_MAX: &str = "24";

fn has_systemd() -> bool {
    let is_there = Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_ok();
    assert!(
        is_there || std::env::var_os("CI").is_none(),
        "CI needs systemd-analyze (Debian package systemd)"
    );
    is_there
}

#[test]
#[expect(clippy::print_stdout, reason = "a skip is said")]
fn systemd_understands_it_and_finds_it_hardened() {
    if !has_systemd() {
        println!("skipped: install systemd for systemd-analyze");
        return;
    }
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/sgeventd.service");
    let text = std::fs::read_to_string(packaged).expect("the unit");
    let dir = tempfile::tempdir().expect("a folder");
    let unit = dir.path().join("sgeventd.service");
    // The packaged path is not on this machine; everything else is as it is shipped.
    let here = text.replace("/usr/bin/sgeventd", env!("CARGO_BIN_EXE_sgeventd"));
    std::fs::write(&unit, here).expect("a file");
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&unit)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("sgeventd.service"))
        .collect();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
    let secure = Command::new("systemd-analyze")
        .args([
            "security",
            "--offline=true",
            "--no-pager",
            "--threshold",
            EXPOSURE_MAX,
        ])
        .arg(&unit)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&secure.stdout).into_owned();
    assert!(secure.status.success(), "{said}");
}
