"""Small rules, as tables: filters, registration, the error tree, the public names."""

import inspect
import os
import re
import unittest

import sgeventd
from sgeventd import Plugin, Shotgun, _errors, _filter

CHANGE = {
    "id": 5,
    "event_type": "Shotgun_Task_Change",
    "attribute_name": "sg_status_list",
    "entity": None,
    "project": {"type": "Project", "id": 122, "name": "p"},
    "user": None,
    "meta": {"entity_type": "Task", "entity_id": 7, "in_create": True, "new_value": "fin"},
}

# entity_type, filters and so on, as shotgun_api3 3.10 has them.
OFFICIAL = {
    "find": "entity_type filters fields order filter_operator limit retired_only page include_archived_projects"
    " additional_filter_presets",
    "find_one": "entity_type filters fields order filter_operator retired_only include_archived_projects"
    " additional_filter_presets",
    "summarize": "entity_type filters summary_fields filter_operator grouping include_archived_projects",
    "create": "entity_type data return_fields",
    "update": "entity_type entity_id data multi_entity_update_modes",
    "delete": "entity_type entity_id",
    "revive": "entity_type entity_id",
    "batch": "requests",
    "schema_read": "project_entity",
    "schema_entity_read": "project_entity",
    "schema_field_read": "entity_type field_name project_entity",
    "text_search": "text entity_types project_ids limit",
    "upload": "entity_type entity_id path field_name display_name tag_list created_at",
    "upload_thumbnail": "entity_type entity_id path kwargs",
    "upload_filmstrip_thumbnail": "entity_type entity_id path kwargs",
    "share_thumbnail": "entities thumbnail_path source_entity filmstrip_thumbnail kwargs",
    "download_attachment": "attachment file_path attachment_id",
}


class Rules(unittest.TestCase):
    def test_methods_take_the_official_arguments(self):
        for name, wanted in OFFICIAL.items():
            found = list(inspect.signature(getattr(Shotgun, name)).parameters)[1:]
            assert found == wanted.split(), name

    def test_subscriptions(self):
        for events, where, wanted in [
            (None, [], True),
            ({"Shotgun_Task_Change": None}, [], True),
            ({"Shotgun_Task_Change": ["x", "*"]}, [], True),
            ({"Shotgun_Task_Change": ["x"]}, [], False),
            ({"Shotgun_Shot_Change": None}, [], False),
            ({"*": ["x"], "Shotgun_Task_Change": None}, [], False),  # when * is there, it alone counts
            (None, [["project.id", "in", [122, 130]]], True),
            (None, [["project.id", "not_in", [122]]], False),
            (None, [["user", "is_not", "self"]], True),
            (None, [["user.id", "is_not", 3]], True),
            (None, [["entity.id", "is", 7]], True),  # deleted since: meta knows
            (None, [["entity.type", "starts_with", "Ta"], ["meta.new_value", "contains", "i"]], True),
            (None, [["meta.in_create", "is", 1]], False),
            (None, [["meta.gone", "exists", False]], True),
        ]:
            found = _filter.matches({"events": events, "where": where}, CHANGE)
            assert found is wanted, (events, where)

    def test_what_the_daemon_would_refuse_is_refused_at_registration(self):
        plugin = Plugin("tried")
        for arguments, options in [
            ((), {"where": [["nope", "is", 1]]}),
            ((), {"where": [["id", "nope", 1]]}),
            ((), {"where": [["id", "is"]]}),
            ((), {"where": [["project.code", "is", "x"]]}),
            ((), {"where": [["id", "in", "123"]]}),
            (({"A": "sg_status_list"},), {}),
            (("A",), {"attributes": "sg_status_list"}),
            ((lambda event: None,), {}),
        ]:
            with self.assertRaises((TypeError, ValueError)):  # noqa: PT027
                plugin.on(*arguments, **options)
        with self.assertRaises(ValueError):  # noqa: PT027
            Plugin("tried", max_in_flight=2)

    def test_handlers_of_one_name_get_ids_of_their_own(self):
        plugin = Plugin("tried")
        for _ in range(3):
            plugin.on()(lambda event: None)
        assert [handler.id for handler in plugin.handlers] == ["<lambda>", "<lambda>_2", "<lambda>_3"]

    def test_the_drawing_of_errors_is_the_tree(self):
        drawn = set(re.findall(r"[├└]── (\w+)", _errors.__doc__))
        real = {
            name
            for name, thing in vars(_errors).items()
            if inspect.isclass(thing) and issubclass(thing, Exception) and not name.startswith("_")
        }
        assert drawn == real
        assert real <= set(sgeventd.__all__)

    def test_all_public_names_are_listed(self):
        public = {
            name for name, thing in vars(sgeventd).items() if not name.startswith("_") and not inspect.ismodule(thing)
        }
        assert public | {"__version__"} == set(sgeventd.__all__)

    def test_every_module_says_its_job_and_its_nevers(self):
        folder = os.path.dirname(sgeventd.__file__)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py") and name != "__init__.py":
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    head = file.read().split('"""')[1]
                assert "\nIn: " in head, name
                assert "\nNever: " in head or " Never " in head or "\nNever " in head, name

    def test_sdk_imports_nothing_from_the_site_packages(self):
        folder = os.path.dirname(sgeventd.__file__)
        for name in os.listdir(folder):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    assert not re.search(r"^(import|from) (shotgun_api3|six|attr)", file.read(), re.M), name


if __name__ == "__main__":
    unittest.main()
