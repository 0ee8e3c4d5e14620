#!/usr/bin/env python3
"""Uses what the Python SDK has, once, at an event of a Shot: its wire is recorded."""

from sgeventd import Plugin, Retry, Skip

plugin = Plugin("python_sdk", version="1.0", description="Its wire is recorded.", max_attempts=3)


@plugin.on("Shotgun_Shot_Change", attributes=["description"], where=[["entity.type", "is", "Shot"]])
def uses_everything(event, sg):
    if event.meta["new_value"] != "one":
        raise Skip("not the first")
    if event.attempt == 1:
        raise Retry(after=0, reason="once more")
    shot = event.meta["entity_id"]
    sg.schema_entity_read()
    sg.schema_read({"type": "Project", "id": 1})
    sg.schema_field_read("Shot", "code")
    sg.text_search("bunny", {"Shot": []}, limit=2)
    sg.find("Shot", [["id", "is", shot]], ["code"], order=[{"field_name": "id", "direction": "asc"}], limit=3)
    sg.find_one("Shot", [["id", "is", -1]])
    sg.update("Shot", shot, {"sg_cut_in": 9007199254740993 % 1000})
    plugin.state.set("seen", {"\u2028": 9007199254740993})
    assert plugin.state.get("seen") == {"\u2028": 9007199254740993}
    plugin.log.info("half way", extra={"shot": shot})
    plugin.progress("half way", percent=50.0)
    plugin.alert("a person must know")
    plugin.pause(0.05, "a breath")
    raise ValueError("fails for good")


plugin.run()
