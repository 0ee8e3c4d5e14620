"""The schema of a default site is read, and written: a field that is made can be used at once."""

from __future__ import annotations

import pytest
import shotgun_api3
from conftest import start

PROJECT = {"type": "Project", "id": 1}
TYPES = """Project Sequence Shot Asset Task TaskTemplate Step Version PublishedFile PublishedFileType Playlist Note Reply Ticket
Delivery TimeLog Booking Department Group HumanUser ApiUser ClientUser PermissionRuleSet Attachment LocalStorage Status Tag Phase
EventLogEntry CustomEntity01 CustomEntity02 CustomEntity03 CustomEntity04 CustomEntity05 CustomNonProjectEntity01
CustomNonProjectEntity02 CustomNonProjectEntity03 PlaylistVersionConnection AssetShotConnection TaskDependency""".split()


@pytest.fixture(scope="module")
def site():
    yield from start("empty")


def test_the_types_of_a_default_site_are_there(sg):
    schema = sg.schema_read()
    entities = sg.schema_entity_read()
    assert set(TYPES) <= set(schema)
    assert set(schema) == set(entities)
    for kind, about in entities.items():
        assert set(about) == {"name", "visible"}, kind
        assert about["visible"]["value"] is True
    for kind, fields in schema.items():
        assert "id" in fields, kind
        for name, about in fields.items():
            assert about["entity_type"] == {"value": kind, "editable": False}
            for key in "name description custom_metadata data_type editable mandatory unique visible ui_value_displayable".split():
                assert set(about[key]) == {"value", "editable"}, (kind, name, key)
            properties = about["properties"]
            assert {"default_value", "summary_default"} <= set(properties)
            word = about["data_type"]["value"]
            assert ("valid_types" in properties) == (word in ("entity", "multi_entity", "addressing")), (kind, name)
            assert ("valid_values" in properties) == (word in ("list", "status_list")), (kind, name)


def test_one_field_looks_as_on_a_site(sg):
    (name, about), = sg.schema_field_read("Shot", "code").items()
    assert name == "code"
    assert about["name"] == {"value": "Shot Code", "editable": True}
    assert about["data_type"] == {"value": "text", "editable": False}
    status = sg.schema_field_read("Task", "sg_status_list", PROJECT)["sg_status_list"]["properties"]
    assert status["default_value"]["value"] == "wtg"
    assert status["display_values"]["value"]["ip"] == "In Progress"
    assert set(status["display_values"]["value"]) == set(status["valid_values"]["value"])
    assert sg.schema_field_read("Version", "created_at")["created_at"]["data_type"]["value"] == "date_time"
    with pytest.raises(shotgun_api3.Fault, match="Shot.nope doesn't exist"):
        sg.schema_field_read("Shot", "nope")
    with pytest.raises(shotgun_api3.Fault, match="invalid/missing string entity 'type'"):
        sg.schema_field_read("Nonsense")


@pytest.mark.parametrize(
    ("data_type", "properties", "value", "other"),
    [
        ("text", {}, "a", "b"),
        ("number", {}, 3, 4),
        ("float", {}, 1.5, 2.5),
        ("currency", {}, 9.99, 1.0),
        ("percent", {}, 50, 60),
        ("duration", {}, 60, 90),
        ("timecode", {}, 1000, 2000),
        ("checkbox", {}, True, False),
        ("date", {}, "2026-01-02", "2026-01-03"),
        ("list", {"valid_values": ["x", "y"]}, "x", "y"),
        ("status_list", {"valid_values": ["wtg", "fin"]}, "fin", "wtg"),
        ("entity", {"valid_types": ["Project"]}, PROJECT, None),
        ("multi_entity", {"valid_types": ["Project"]}, [PROJECT], []),
    ],
)
def test_a_field_that_is_made_can_be_used_at_once(sg, data_type, properties, value, other):
    field = sg.schema_field_create("Shot", data_type, f"Of Type {data_type}", {**properties, "description": "made up"})
    assert field == f"sg_of_type_{data_type}"
    about = sg.schema_field_read("Shot", field)[field]
    assert about["data_type"]["value"] == data_type
    assert about["description"]["value"] == "made up"
    made = sg.create("Shot", {"code": "x", "project": PROJECT, field: value})
    assert _bare(made[field]) == value
    found = sg.find_one("Shot", [[field, "is", PROJECT if data_type.endswith("entity") else value]], [field])
    assert found["id"] == made["id"]
    assert _bare(sg.update("Shot", made["id"], {field: other})[field]) == other
    rows = sg.find("EventLogEntry", [["attribute_name", "is", field]], ["meta"])
    assert [row["meta"]["field_data_type"] for row in rows] == [data_type] * 2
    assert rows[0]["meta"]["in_create"] is True


def _bare(value):
    if isinstance(value, dict):
        return {key: value[key] for key in ("type", "id")}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def test_names_of_fields_and_their_collisions(sg):
    make = lambda name: sg.schema_field_create("Asset", "number", name)  # noqa: E731
    assert make("Monkey Count") == "sg_monkey_count"
    assert make("Monkey Count") == "sg_monkey_count_1"
    assert make("monkey-count") == "sg_monkey_count_2"
    assert make("  Größe (m²) ") == "sg_gr_e_m"
    assert sg.schema_field_read("Asset", "sg_monkey_count_1")["sg_monkey_count_1"]["name"]["value"] == "Monkey Count"
    for name, data_type, properties, words in [
        ("", "number", {}, "'name'"),
        ("!!!", "number", {}, "no field name"),
        ("x", "nonsense", {}, "invalid 'data_type'"),
        ("x", "serializable", {}, "invalid 'data_type'"),
        ("x", "number", {"nope": 1}, "cannot be set"),
        ("x", "number", {"description": 1}, r"expected \[String\]"),
        ("x", "entity", {"valid_types": ["Nonsense"]}, "not an entity type"),
    ]:
        with pytest.raises(shotgun_api3.Fault, match=words):
            sg.schema_field_create("Asset", data_type, name, properties)
    with pytest.raises(shotgun_api3.Fault, match="invalid/missing string entity 'type'"):
        sg.schema_field_create("Nonsense", "number", "x")
    assert "sg_x" not in sg.schema_field_read("Asset")


def test_a_field_is_changed_deleted_and_brought_back(sg):
    field = sg.schema_field_create("Version", "list", "Mood", {"valid_values": ["calm"]})
    made = sg.create("Version", {"code": "v", "project": PROJECT, field: "calm"})
    with pytest.raises(shotgun_api3.Fault, match="Valid values: calm"):
        sg.update("Version", made["id"], {field: "wild"})
    assert sg.schema_field_update("Version", field, {"valid_values": ["calm", "wild"], "name": "Humour"}) is True
    sg.update("Version", made["id"], {field: "wild"})
    assert sg.schema_field_read("Version", field)[field]["name"]["value"] == "Humour"
    assert sg.schema_field_delete("Version", field) is True
    assert sg.schema_field_delete("Version", field) is False
    assert field not in sg.schema_field_read("Version")
    with pytest.raises(shotgun_api3.Fault, match="doesn't exist"):
        sg.find("Version", [[field, "is", "wild"]])
    assert sg.find_one("Version", [["id", "is", made["id"]]], [field]) == {"type": "Version", "id": made["id"]}
    with pytest.raises(shotgun_api3.Fault, match="in the trash"):
        sg.schema_field_create("Version", "number", "Mood")
    # The official client has no method for it.
    assert sg._call_rpc("schema_field_revive", {"type": "Version", "field_name": field}) is True
    assert sg.find_one("Version", [["id", "is", made["id"]]], [field])[field] == "wild"
    with pytest.raises(shotgun_api3.Fault, match="cannot be deleted"):
        sg.schema_field_delete("Version", "code")
    rows = sg.find("EventLogEntry", [["event_type", "starts_with", "Shotgun_DisplayColumn_"]], ["event_type", "entity", "entity.DisplayColumn.entity_type"])
    mine = [row for row in rows if row["entity"]["name"] == field]
    assert [row["event_type"].rsplit("_")[-1] for row in mine] == ["New", "Change", "Change", "Delete", "New"]
    assert {row["entity.DisplayColumn.entity_type"] for row in mine} == {"Version"}


def test_a_project_hides_a_field_and_values(sg):
    other = sg.create("Project", {"name": "Second"})
    field = sg.schema_field_create("Asset", "text", "Project Visibility Test")
    visible = lambda project: sg.schema_field_read("Asset", field, project)[field]["visible"]  # noqa: E731
    assert visible(None) == {"value": True, "editable": True}
    assert sg.schema_field_read("Asset", "code")["code"]["visible"]["editable"] is False
    with pytest.raises(shotgun_api3.Fault, match="needs a 'project'"):
        sg.schema_field_update("Asset", field, {"visible": False})
    sg.schema_field_update("Asset", field, {"visible": False}, PROJECT)
    assert (visible(PROJECT)["value"], visible(other)["value"]) == (False, True)
    sg.schema_field_update("Asset", field, {"visible": True}, PROJECT)
    assert visible(PROJECT) == {"value": True, "editable": True}
    sg.schema_field_update("Asset", "sg_status_list", {"hidden_values": ["omt"]}, PROJECT)
    hidden = lambda project: sg.schema_field_read("Asset", "sg_status_list", project)["sg_status_list"]["properties"]["hidden_values"]  # noqa: E731
    assert (hidden(PROJECT)["value"], hidden(other)["value"]) == (["omt"], [])


def test_a_find_of_every_type_with_every_field_succeeds(sg):
    for kind in sg.schema_entity_read():
        fields = sg.schema_field_read(kind)
        for direction in ("asc", "desc"):
            order = [{"field_name": name, "direction": direction} for name in fields]
            rows = sg.find(kind, [], list(fields), order=order, limit=3)
            assert all(set(row) - {"type"} <= set(fields) for row in rows), kind
