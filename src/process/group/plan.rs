//! What to read and write in the tree of control groups. Pure.
//!
//! In: what the kernel says in `/proc` and in a group's files. Out: paths, names, and what to write into which file.
//! Never: a look at the tree (`tree.rs`).

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// What a group can bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Controllers {
    /// Memory: `memory.max`.
    pub memory: bool,
    /// Processes: `pids.max`.
    pub pids: bool,
    /// Processor time: `cpu.weight`, `cpu.max`.
    pub cpu: bool,
}

impl Controllers {
    /// Each with the kernel's name.
    fn all(self) -> [(&'static str, bool); 3] {
        [
            ("memory", self.memory),
            ("pids", self.pids),
            ("cpu", self.cpu),
        ]
    }

    /// Reads `cgroup.controllers` or `cgroup.subtree_control`.
    pub(super) fn read(text: &str) -> Self {
        let has = |name: &str| text.split_ascii_whitespace().any(|word| word == name);
        Self {
            memory: has("memory"),
            pids: has("pids"),
            cpu: has("cpu"),
        }
    }

    /// Those that a group has, for `cgroup.subtree_control`: one write each, for one that is refused takes all along.
    pub(super) fn orders(self) -> impl Iterator<Item = String> {
        let there = self.all().into_iter().filter(|(_, is_there)| *is_there);
        there.map(|(name, _)| format!("+{name}"))
    }

    /// Those that are missing, by the kernel's names.
    #[must_use]
    pub fn missing(self) -> Vec<&'static str> {
        let missing = self.all().into_iter().filter(|(_, is_there)| !is_there);
        missing.map(|(name, _)| name).collect()
    }
}

/// What one group may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of memory.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Its share beside others, 100 as a rule.
    pub cpu_weight: u64,
    /// Hundredths of one core that it may use at most; 0: all.
    pub cpu_percent: u64,
}

/// A period of `cpu.max`, microseconds: the kernel's own default.
const PERIOD_US: u64 = 100_000;

impl Bounds {
    /// What is written into a new group: file, text, and whether the kernel must have it.
    pub(super) fn files(&self, has: Controllers) -> Vec<(&'static str, String, bool)> {
        let mut files = Vec::new();
        if has.memory {
            files.push(("memory.max", self.memory.to_string(), true));
            // Kernels without swap have no such file.
            files.push(("memory.swap.max", "0".to_owned(), false));
            // Before 4.19 the kernel takes one process of the group and leaves a torso.
            files.push(("memory.oom.group", "1".to_owned(), false));
        }
        if has.pids {
            files.push(("pids.max", self.processes.to_string(), true));
        }
        if has.cpu {
            files.push(("cpu.weight", self.cpu_weight.to_string(), true));
            let quota = self.cpu_percent * PERIOD_US / 100;
            let quota = (self.cpu_percent != 0).then(|| quota.to_string());
            let quota = quota.unwrap_or_else(|| "max".to_owned());
            // Kernels without bandwidth control have no such file.
            files.push(("cpu.max", format!("{quota} {PERIOD_US}"), false));
        }
        files
    }
}

/// Our group in the tree of version 2, from `/proc/self/cgroup`.
pub(super) fn own_path(cgroup: &str) -> Option<&Path> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    // A group that was taken away has this behind its name.
    (!path.ends_with(" (deleted)")).then(|| Path::new(path))
}

/// Where the tree of version 2 is mounted, from `/proc/self/mountinfo`, and which part of it.
pub(super) fn mount(mountinfo: &str) -> Option<(PathBuf, PathBuf)> {
    mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        if right.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = left.split(' ').skip(3);
        let (part, point) = (fields.next()?, fields.next()?);
        Some((unescaped(point), unescaped(part)))
    })
}

/// Our group as a folder.
pub(super) fn folder(cgroup: &str, mountinfo: &str) -> Option<PathBuf> {
    let (point, part) = mount(mountinfo)?;
    let below = own_path(cgroup)?.strip_prefix(part).ok()?;
    Some(point.join(below))
}

/// A path of `mountinfo`, in which blanks and backslashes are octal.
fn unescaped(text: &str) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let code = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        (bytes, rest) = match code {
            Some(code) if *first == b'\\' => ([bytes, vec![code]].concat(), &tail[3..]),
            _ => ([bytes, vec![*first]].concat(), tail),
        };
    }
    OsString::from_vec(bytes).into()
}

/// The name of a group; `whose`: the daemon's mark, of eight digits.
pub(super) fn name(whose: &str, plugin: &str, generation: u64, spares: bool) -> String {
    let kind = if spares { 's' } else { 'p' };
    let mut name = format!("{whose}.{kind}.");
    for byte in plugin.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(byte.into()),
            other => name.push_str(&format!("%{other:02x}")),
        }
    }
    // A folder's name has 255 bytes at most.
    name.truncate(200);
    format!("{name}.{generation}")
}

/// Of a group that a daemon with this mark made: true when its processes may outlive it.
pub(super) fn is_spared(name: &str, whose: &str) -> Option<bool> {
    let rest = name.strip_prefix(whose)?;
    match rest.get(..3)? {
        ".p." => Some(false),
        ".s." => Some(true),
        _ => None,
    }
}

/// How many processes the kernel ended for want of memory, from `memory.events`.
pub(super) fn oom_kills(events: &str) -> u64 {
    let mut lines = events.lines();
    let count = lines.find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    count.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with version 2 alone, one with both, one with version 1 alone, a container.
    #[test]
    fn our_folder_by_what_the_kernel_says() {
        let pure = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let both = "30 29 0:27 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n\
                    31 29 0:28 / /sys/fs/cgroup/memory rw shared:6 - cgroup cgroup rw,memory";
        let old = "31 29 0:28 / /sys/fs/cgroup/memory rw shared:6 - cgroup cgroup rw,memory";
        let part = "700 699 0:26 /docker/ab /sys/fs/cg\\040roup ro - cgroup2 cgroup rw";
        let unit = "0::/system.slice/sgeventd.service\n";
        for (cgroup, mountinfo, expected) in [
            (
                unit,
                pure,
                Some("/sys/fs/cgroup/system.slice/sgeventd.service"),
            ),
            (
                "4:memory:/x\n0::/a\n",
                both,
                Some("/sys/fs/cgroup/unified/a"),
            ),
            ("0::/\n", pure, Some("/sys/fs/cgroup/")),
            ("4:memory:/x\n", old, None),
            ("4:memory:/x\n", both, None),
            ("0::/docker/ab/c\n", part, Some("/sys/fs/cg roup/c")),
            ("0::/elsewhere\n", part, None),
            ("0::/gone (deleted)\n", pure, None),
            ("", "", None),
        ] {
            let found = folder(cgroup, mountinfo);
            assert_eq!(
                found,
                expected.map(PathBuf::from),
                "{cgroup:?} {mountinfo:?}"
            );
        }
    }

    #[test]
    fn what_is_written_by_what_there_is() {
        let bounds = Bounds {
            memory: 1 << 30,
            processes: 256,
            cpu_weight: 50,
            cpu_percent: 150,
        };
        let written = |text: &str, bounds: Bounds| {
            let files = bounds.files(Controllers::read(text)).into_iter();
            let files: Vec<_> = files
                .map(|(file, text, _)| format!("{file}={text}"))
                .collect();
            files.join(" ")
        };
        let memory = "memory.max=1073741824 memory.swap.max=0 memory.oom.group=1";
        for (controllers, expected) in [
            ("", String::new()),
            ("hugetlb io", String::new()),
            ("pids", "pids.max=256".to_owned()),
            (
                "cpuset cpu io memory pids\n",
                format!("{memory} pids.max=256 cpu.weight=50 cpu.max=150000 100000"),
            ),
        ] {
            assert_eq!(written(controllers, bounds), expected, "{controllers:?}");
        }
        let free = Bounds {
            cpu_percent: 0,
            ..bounds
        };
        assert_eq!(written("cpu", free), "cpu.weight=50 cpu.max=max 100000");
        assert_eq!(Controllers::read("pids").missing(), ["memory", "cpu"]);
        let orders: Vec<_> = Controllers::read("cpu memory").orders().collect();
        assert_eq!(orders, ["+memory", "+cpu"]);
    }

    #[test]
    fn names_are_folders_and_know_their_daemon() {
        let ours = name("0badcafe", "shots/täsk.status", 3, false);
        assert_eq!(ours, "0badcafe.p.shots%2ft%c3%a4sk%2estatus.3");
        let farm = name("0badcafe", "farm", 1, true);
        assert_eq!(is_spared(&ours, "0badcafe"), Some(false));
        assert_eq!(is_spared(&farm, "0badcafe"), Some(true));
        for other in ["0badcaff.p.task.1", "daemon", "0badcafe", "0badcafe.é"] {
            assert_eq!(is_spared(other, "0badcafe"), None, "{other}");
        }
        assert!(name("0badcafe", &"x/".repeat(200), u64::MAX, false).len() < 255);
    }

    #[test]
    fn only_what_was_killed_counts() {
        let events = "low 0\nhigh 0\nmax 41\noom 2\noom_kill 1\noom_group_kill 1\n";
        assert_eq!(oom_kills(events), 1);
        assert_eq!(oom_kills("oom 2\n"), 0);
        assert_eq!(oom_kills(""), 0);
    }
}
