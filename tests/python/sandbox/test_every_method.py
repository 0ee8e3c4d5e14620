"""Every public method of the client is in the table of the docs, and is called by a test."""

from __future__ import annotations

import ast
import inspect
import pathlib
import re

import shotgun_api3
from conftest import ROOT


def public() -> set[str]:
    members = inspect.getmembers(shotgun_api3.Shotgun, lambda member: inspect.isfunction(member) or isinstance(member, property))
    return {name for name, _ in members if not name.startswith("_")}


def test_the_table_lists_each():
    text = (ROOT / "docs" / "sandbox.md").read_text()
    table = text.split("## What each public method", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == public()


def test_each_is_called():
    nodes = [node for path in pathlib.Path(__file__).parent.glob("test_*.py") for node in ast.walk(ast.parse(path.read_text()))]
    called = {node.func.attr for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    for name in public():
        is_property = isinstance(inspect.getattr_static(shotgun_api3.Shotgun, name), property)
        assert name in (read if is_property else called), name
