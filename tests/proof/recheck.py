#!/usr/bin/env python3
"""The re-checker: judges a run again by what it left behind, and shares no code with what it judges.

recheck.py FOLDER prints the yardstick as one line of JSON; it ends with 1 when something is violated. It reads
* `site.json`: the run, the ids that are readable on the site, and each plugin that keeps a book: its window, its order,
  the ids it wants (null: all), its book (none: the journal is taken at its word);
* the books, a line for each event handed over, see `witness.py`;
* `crashes.jsonl`: a line for each crash of the daemon, `at` in CLOCK_MONOTONIC and `cursors`, how each plugin stood on disk;
* the journal, read-only, and the daemon's logs for the ids that were given up.
"""

import json
import re
import sqlite3
import sys
from collections import Counter, defaultdict
from pathlib import Path

# An answer is on its way to the disk for `settle.wait` and two commits, the one before its own and its own. A commit is a
# write and a sync, as the witness's lines are: on a disk that is slower than this, the slowest of those of the same process
# tells what it takes.
COMMIT_S = 0.25
SYNCS = 3
GIVEN_UP = re.compile(r'ids never appeared and are given up.*?first"?[=:](\d+).*?last"?[=:](\d+)')
ALERT = re.compile(r"(?:ERROR|WARN |INFO ) (alert|alert over)  .*?kind=([a-z_]+)")
LANES = {"all": "0", "entity": "coalesce(entity_type, subject_type) || ' ' || coalesce(entity_id, subject_id)",
         "project": "project_id", "none": "seq"}


def lines(path):
    """The whole lines of a file of JSON lines; none when there is no file."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


class Journal:
    """What the journal says."""

    def __init__(self, path):
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.check = self.ask("PRAGMA quick_check(1)")[0][0]
        self.last = self.ask("SELECT last FROM extent")[0][0]
        self.seqs = dict(self.ask("SELECT event_id, seq FROM events ORDER BY seq"))
        # A restored site gives an id away once more: it may be handed over twice, and what belongs to which life is not told.
        self.lives = dict(self.ask("SELECT event_id, count(*) FROM events GROUP BY event_id"))

    def ask(self, sql, *values):
        return self.db.execute(sql, values).fetchall()

    def lanes(self, order):
        return dict(self.ask(f"SELECT event_id, {LANES[order]} FROM events ORDER BY seq"))

    def dead(self, plugin):
        return {row[0] for row in self.ask("SELECT event_id FROM dead WHERE plugin = ?", plugin)}

    def open(self, plugin):
        return {row[0] for row in self.ask("SELECT seq FROM open WHERE plugin = ?", plugin)}

    def position(self, plugin):
        rows = self.ask("SELECT position FROM plugins WHERE name = ?", plugin)
        return rows[0][0] if rows else 0

    def settled(self, plugin):
        still, position = self.open(plugin), self.position(plugin)
        return {event for event, seq in self.seqs.items() if seq <= position and seq not in still}


def inversions(firsts, journal, order):
    """First deliveries that came after one with a higher `seq` of their lane."""
    lanes, highest, found = journal.lanes(order), defaultdict(int), 0
    for event in firsts:
        seq, lane = journal.seqs.get(event), lanes.get(event)
        if journal.lives.get(event) == 1:
            found += seq < highest[lane]
            highest[lane] = max(highest[lane], seq)
    return found


def repeats(book, journal):
    """Pairs of lines: an event that was handed over though it had its answer, or with an attempt that it had before."""
    before, lives = {}, dict(journal.lives)
    for line in book:
        event = line["event"]
        earlier = before.get(event)
        if earlier and not line.get("replay") and (earlier["answer"] == "ok" or line["attempt"] <= earlier["attempt"]):
            if lives.get(event, 1) > 1:
                lives[event] -= 1
            else:
                yield earlier, line
        before[event] = line


def bounds(book, crashes, window, wait):
    """For each end of the plugin's process the most that it allows to be repeated, by the process's start."""
    allowed, starts = {}, sorted({line["start"] for line in book})
    for start, following in zip(starts, starts[1:] + [float("inf")]):
        ends = [crash["at"] for crash in crashes if start <= crash["at"] <= following]
        # Without a crash of the daemon it is the plugin's own end: what was open is open again.
        own = [line["at"] for line in book if line["start"] == start]
        answered = own[1:] + [float("inf")]  # not later than the next was written down
        # Who ends by an error hands out nothing while it ends: what counts is when the last was written down.
        slowest = max(line.get("last_sync_s", 0) for line in book if line["start"] == start)
        commit = max(COMMIT_S, SYNCS * slowest)
        late = [at for at in answered if ends and at >= min(ends[0], own[-1]) - wait - commit]
        allowed[start] = window + len(late)
    return allowed


def judge_plugin(name, plugin, journal, site, crashes, given_up, folder):
    """The figures of one plugin."""
    book = lines(folder / plugin["book"]) if plugin.get("book") else None
    wanted = set(site["ids"] if plugin.get("wants") is None else plugin["wants"])
    known = journal.settled(name) if book is None else {line["event"] for line in book}
    lost = sorted(wanted - known - journal.dead(name) - given_up)
    is_stuck = journal.position(name) < journal.last or bool(journal.open(name))
    found = {"lost": lost, "stuck": is_stuck, "dup": 0, "dup_bound": 0, "order": 0, "beyond": [], "settled_again": []}
    if book is None:
        return found
    firsts = list(dict.fromkeys(line["event"] for line in book))
    found["order"] = inversions(firsts, journal, plugin.get("order", "all"))
    allowed = bounds(book, crashes, plugin.get("window", 1), site["settle_wait_s"])
    used = Counter()
    for earlier, later in repeats(book, journal):
        # Twice by one process is never right; else the end of the earlier one is what allows it.
        used[None if earlier["start"] == later["start"] else earlier["start"]] += 1
    found["dup"] = sum(used.values())
    found["dup_bound"] = sum(allowed.values()) - (allowed[max(allowed)] if allowed else 0)
    found["beyond"] = [start for start, count in used.items() if count > allowed.get(start, 0)]
    found["settled_again"] = settled_again(name, book, journal, crashes)
    return found


def settled_again(name, book, journal, crashes):
    """Events that were settled on disk when the daemon crashed, and were handed over after it."""
    again = set()
    for crash in crashes:
        cursor = (crash.get("cursors") or {}).get(name)
        if cursor is None:
            continue
        still = set(cursor["open"])
        for line in book:
            seq = journal.seqs.get(line["event"])
            is_settled = journal.lives.get(line["event"]) == 1 and seq <= cursor["position"] and seq not in still
            if is_settled and line["start"] > crash["at"] and not line.get("replay"):
                again.add(line["event"])
    return sorted(again)


def alert(line):
    """Message and kind of a line about an alert, in either format of the log; else no such message."""
    if line.startswith("{"):
        told = json.loads(line)
        return told["message"], told.get("kind")
    found = ALERT.search(line)
    return found.groups() if found else ("", None)


def read_logs(folder):
    """The ids that were given up, and the alerts that began and were over, by kind."""
    given_up, alerts, over = set(), Counter(), Counter()
    for path in sorted(folder.glob("sgeventd.log*")):
        if path.suffix == ".gz":
            continue
        for line in path.read_text(errors="replace").splitlines():
            if found := GIVEN_UP.search(line):
                given_up.update(range(int(found[1]), int(found[2]) + 1))
            message, kind = alert(line)
            if message == "alert":
                alerts[kind] += 1
            elif message == "alert over":
                over[kind] += 1
    return given_up, alerts, over


def judge(folder):
    """The yardstick of a run, and whether nothing is violated."""
    site = json.loads((folder / "site.json").read_text())
    journal = Journal(folder / site["database"])
    crashes = sorted(lines(folder / "crashes.jsonl"), key=lambda crash: crash["at"])
    given_up, alerts, over = read_logs(folder)
    plugins = {
        name: judge_plugin(name, plugin, journal, site, crashes, given_up, folder)
        for name, plugin in site["plugins"].items()
    }
    every = plugins.values()
    more = {"crashes": len(crashes), "events": len(site["ids"]), "given_up": len(given_up), "quick_check": journal.check}
    for word in ("lost", "beyond", "settled_again"):
        if any(found[word] for found in every):
            more[f"{word}_by"] = {name: found[word][:20] for name, found in plugins.items() if found[word]}
    is_right = journal.check == "ok" and not any(
        found["lost"] or found["stuck"] or found["order"] or found["beyond"] or found["settled_again"] for found in every
    )
    return {
        "run": site["run"],
        "rows": site["rows"],
        "lost": sum(len(found["lost"]) for found in every),
        "dup": sum(found["dup"] for found in every),
        "dup_bound": sum(found["dup_bound"] for found in every),
        "order": sum(found["order"] for found in every),
        "stuck": sum(found["stuck"] for found in every),
        "alerts": dict(alerts),
        "recovered": dict(over),
        "quiet": None,
        "more": more,
    }, is_right


if __name__ == "__main__":
    yardstick, is_right = judge(Path(sys.argv[1]))
    print(json.dumps(yardstick))
    sys.exit(0 if is_right else 1)
