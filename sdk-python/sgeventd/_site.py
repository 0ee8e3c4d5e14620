"""The way of every call of `sg` to the daemon, and the official client's methods that are one plain call of the site.

In: arguments as for `shotgun_api3.Shotgun`. Out: its results.
Never: a method that the daemon knows by name (`_shotgun.py` has those), files, a credential.
"""

import copy
from typing import Any, Callable, Dict, List, Optional, TypeVar

from . import _dates
from ._errors import BadCall, NotSupported

Caller = Callable[[str, Dict[str, Any]], Any]
Entity = Dict[str, Any]
Self = TypeVar("Self", bound="Site")


class Site:
    """What `Shotgun` stands on."""

    __slots__ = ("_call", "_meta")

    def __init__(self, call: Caller, meta: Dict[str, Any]) -> None:
        self._call = call
        self._meta = meta

    def as_script(self: Self, name: str) -> Self:
        """Returns the same site, spoken to as another of the plugin's `scripts`."""
        return self._with(script=name)

    def as_user(self: Self, login: str) -> Self:
        """Returns the same site, with the rights and the name of a person; needs `sudo` in the config."""
        return self._with(sudo_as_login=login)

    def rpc(self, method: str, payload: Any = None) -> Any:
        """Makes one raw call of the site's own API and returns its result, dates as text."""
        return self._send("rpc", {"method": method, "payload": payload})

    # Following.

    def follow(self, user: Entity, entity: Entity) -> Dict[str, Any]:
        """Makes a person follow an entity; returns `{"followed": True, "user": …, "entity": …}`."""
        found: Dict[str, Any] = self._plain("follow", "follow", user=user, entity=entity)
        return found

    def unfollow(self, user: Entity, entity: Entity) -> Dict[str, Any]:
        """Undoes `follow`; returns `{"unfollowed": True, "user": …, "entity": …}`."""
        found: Dict[str, Any] = self._plain("unfollow", "unfollow", user=user, entity=entity)
        return found

    def followers(self, entity: Entity) -> List[Dict[str, Any]]:
        """Returns the people who follow an entity."""
        found: List[Dict[str, Any]] = self._plain("followers", "followers", entity=entity)
        return found

    def following(
        self, user: Entity, project: Optional[Entity] = None, entity_type: Optional[str] = None
    ) -> List[Entity]:
        """Returns the entities that a person follows."""
        asked: Dict[str, Any] = {"user": user}
        if project:
            asked["project"] = project
        if entity_type:
            asked["entity_type"] = entity_type
        found: List[Entity] = self._plain("following", "following", **asked)
        return found

    # Activity, notes, navigation.

    def activity_stream_read(
        self,
        entity_type: str,
        entity_id: int,
        entity_fields: Optional[Dict[str, Any]] = None,
        min_id: Optional[int] = None,
        max_id: Optional[int] = None,
        limit: Optional[int] = None,
    ) -> Dict[str, Any]:
        """Returns what happened to an entity as its page shows it, newest first under `updates`."""
        found: Dict[str, Any] = _first(
            self._plain(
                "activity_stream_read",
                "activity_stream",
                type=entity_type,
                id=entity_id,
                max_id=max_id,
                min_id=min_id,
                limit=limit,
                entity_fields=_mapping("entity_fields", entity_fields),
            )
        )
        return found

    def note_thread_read(self, note_id: int, entity_fields: Optional[Dict[str, Any]] = None) -> List[Entity]:
        """Returns a Note with its Replies and Attachments, oldest first."""
        fields = _mapping("entity_fields", entity_fields)
        return _records(self._plain("note_thread_read", "note_thread_contents", note_id=note_id, entity_fields=fields))

    def nav_expand(self, path: str, seed_entity_field: Any = None, entity_fields: Any = None) -> Any:
        """Returns one node of the navigation tree with its children."""
        return self._plain(
            "nav_expand", "nav_expand", path=path, seed_entity_field=seed_entity_field, entity_fields=entity_fields
        )

    def nav_search_string(self, root_path: str, search_string: str, seed_entity_field: Any = None) -> Any:
        """Returns the nodes of the navigation tree whose name has the text in it."""
        criteria = {"search_string": search_string}
        return self._nav_search("nav_search_string", root_path, criteria, seed_entity_field)

    def nav_search_entity(
        self, root_path: str, entity: Entity, seed_entity_field: Optional[Dict[str, Any]] = None
    ) -> Any:
        """Returns the nodes of the navigation tree that stand for an entity."""
        return self._nav_search("nav_search_entity", root_path, {"entity": entity}, seed_entity_field)

    # Work schedule, preferences, subscriptions, pages.

    def work_schedule_read(
        self, start_date: str, end_date: str, project: Optional[Entity] = None, user: Optional[Entity] = None
    ) -> Dict[str, Any]:
        """Returns `{"2026-01-31": {"working": …, "description": …, "reason": …}}`; both ends are included."""
        _day("start_date", start_date)
        _day("end_date", end_date)
        found: Dict[str, Any] = self._plain(
            "work_schedule_read",
            "work_schedule_read",
            start_date=start_date,
            end_date=end_date,
            project=project,
            user=user,
        )
        return found

    def work_schedule_update(
        self,
        date: str,
        working: bool,
        description: Optional[str] = None,
        project: Optional[Entity] = None,
        user: Optional[Entity] = None,
        recalculate_field: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Says whether a day is worked on: by the studio, in a project, or by a person."""
        _day("date", date)
        found: Dict[str, Any] = self._plain(
            "work_schedule_update",
            "work_schedule_update",
            date=date,
            working=working,
            description=description,
            project=project,
            user=user,
            recalculate_field=recalculate_field,
        )
        return found

    def preferences_read(self, prefs: Optional[List[str]] = None) -> Dict[str, Any]:
        """Returns the site's preferences, or those that are named."""
        found: Dict[str, Any] = self._plain("preferences_read", "preferences_read", prefs=prefs or [])
        return found

    def user_subscriptions_read(self) -> Any:
        """Returns the plan of each person."""
        return self._by_name("user_subscriptions_read", "user_subscriptions_read", None)

    def user_subscriptions_create(self, users: List[Dict[str, Any]]) -> bool:
        """Assigns plans to people; returns whether the site took them."""
        answer = self._plain("user_subscriptions_create", "user_subscriptions_create", users=users)
        return isinstance(answer, dict) and answer.get("status") == "success"

    def update_project_last_accessed(self, project: Entity, user: Optional[Entity] = None) -> None:
        """Marks a project as opened just now: by a person, or by the one that `as_user` names."""
        login = self._meta.get("sudo_as_login")
        if not user and login:
            filters = [["login", "is", login]]
            user = self._send("find_one", {"entity_type": "HumanUser", "filters": filters})
        asked = {"project_id": project["id"]}
        if user:
            asked["user_id"] = user["id"]
        self._plain("update_project_last_accessed", "update_project_last_accessed_by_current_user", **asked)

    def export_page(self, page_id: int, format: str, layout_name: Optional[str] = None) -> Any:
        """Returns a page of the site as text, for instance as `csv`."""
        return self._plain("export_page", "export_page", format=format, page_id=page_id, layout_name=layout_name)

    # Fields.

    def schema_field_create(
        self, entity_type: str, data_type: str, display_name: str, properties: Optional[Dict[str, Any]] = None
    ) -> str:
        """Makes a field; returns its name, `sg_…`."""
        named = [{"property_name": "name", "value": display_name}, *_properties(properties)]
        found: str = self._plain(
            "schema_field_create", "schema_field_create", type=entity_type, data_type=data_type, properties=named
        )
        return found

    def schema_field_update(
        self,
        entity_type: str,
        field_name: str,
        properties: Dict[str, Any],
        project_entity: Optional[Entity] = None,
    ) -> bool:
        """Changes properties of a field; `visible` needs a project."""
        asked: Dict[str, Any] = {"type": entity_type, "field_name": field_name, "properties": _properties(properties)}
        if project_entity:
            asked["project"] = project_entity
        found: bool = self._plain("schema_field_update", "schema_field_update", **asked)
        return found

    def schema_field_delete(self, entity_type: str, field_name: str) -> bool:
        """Takes a field away."""
        found: bool = self._plain("schema_field_delete", "schema_field_delete", type=entity_type, field_name=field_name)
        return found

    def schema(self, entity_type: str) -> Any:
        """Is gone from the official client too.

        Raises:
            NotSupported: always; it names what to use.
        """
        raise NotSupported(f"Deprecated: use schema_field_read({entity_type!r}) instead")

    def entity_types(self) -> Any:
        """Is gone from the official client too.

        Raises:
            NotSupported: always; it names what to use.
        """
        raise NotSupported("Deprecated: use schema_entity_read() instead")

    # The connection: it is the daemon's, and ported code may go on calling these.

    def info(self) -> Dict[str, Any]:
        """Returns what the site says about itself: `version`, `api_max_entities_per_page`, …."""
        found: Dict[str, Any] = self._by_name("info", "info", None)
        return found

    def connect(self) -> None:
        """Does nothing: the daemon is connected."""

    def close(self) -> None:
        """Does nothing: the daemon stays connected."""

    def add_user_agent(self, agent: str) -> None:
        """Does nothing: the daemon names itself to the site."""

    def reset_user_agent(self) -> None:
        """Does nothing: the daemon names itself to the site."""

    def set_session_uuid(self, session_uuid: Optional[str]) -> None:
        """Does nothing: what an event's handler writes carries the event's `session_uuid` already."""

    # The way out.

    def _with(self: Self, **meta: str) -> Self:
        other = copy.copy(self)
        other._meta = dict(self._meta, **meta)
        return other

    def _nav_search(self, name: str, root_path: str, criteria: Dict[str, Any], seed_entity_field: Any) -> Any:
        return self._plain(
            name, "nav_search", root_path=root_path, seed_entity_field=seed_entity_field, search_criteria=criteria
        )

    def _plain(self, name: str, rpc: str, **payload: Any) -> Any:
        return self._by_name(name, rpc, payload)

    def _by_name(self, name: str, rpc: str, payload: Any) -> Any:
        """One call of the site's own API, for a method of the official client; tests script it by that name."""
        return _dates.inbound(self._send("rpc", {"method": rpc, "payload": payload}))

    def _send(self, method: str, params: Dict[str, Any]) -> Any:
        if self._meta:
            params["_meta"] = dict(self._meta)
        return self._call("sg." + method, params)


def _properties(properties: Optional[Dict[str, Any]]) -> List[Dict[str, Any]]:
    return [{"property_name": name, "value": value} for name, value in (properties or {}).items()]


def _mapping(name: str, value: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    if value and not isinstance(value, dict):
        raise BadCall(f"{name} is {value!r:.100}; a dict is needed")
    return value or {}


def _day(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise BadCall(f"{name} is {value!r:.100}; text such as '2026-01-31' is needed")


def _records(found: Any) -> List[Entity]:
    """Records as the official client hands them out: a list, and `&lt;` in their own text is `<` again."""
    records: List[Entity] = found if isinstance(found, list) else [found] if found else []
    for record in records:
        if isinstance(record, dict):
            for name, value in record.items():
                if isinstance(value, str):
                    record[name] = value.replace("&lt;", "<")
    return records


def _first(found: Any) -> Any:
    records = _records(found)
    return records[0] if records else {}
