"""`sg`: the site, by the official client's method names, arguments and results.

In: arguments as for `shotgun_api3.Shotgun`. Out: its results, or an `Error`.
Never: a key, a URL, a connection. The daemon holds them; each call goes through it.
"""

import datetime
from typing import Any, Dict, List, Optional, Sequence, Union

from . import _dates
from ._errors import BadCall
from ._site import Entity, Site

Filters = Union[Sequence[Any], Dict[str, Any]]

_OPERATORS = (None, "all", "any", "and", "or")


class Shotgun(Site):
    """The site as a handler sees it. Made by the SDK; safe to use from any thread of the handler."""

    __slots__ = ()

    # Reading.

    def find(
        self,
        entity_type: str,
        filters: Filters,
        fields: Optional[List[str]] = None,
        order: Optional[List[Dict[str, str]]] = None,
        filter_operator: Optional[str] = None,
        limit: int = 0,
        retired_only: bool = False,
        page: int = 0,
        include_archived_projects: bool = True,
        additional_filter_presets: Optional[List[Dict[str, Any]]] = None,
    ) -> List[Entity]:
        """Returns all entities that match, `limit` at most when it is not 0."""
        found: List[Entity] = self._site(
            "find",
            {"entity_type": entity_type, "filters": filters},
            fields=fields,
            order=order,
            filter_operator=_operator(filter_operator),
            limit=limit or None,
            retired_only=retired_only or None,
            page=page or None,
            include_archived_projects=None if include_archived_projects else False,
            additional_filter_presets=additional_filter_presets,
        )
        return found

    def find_one(
        self,
        entity_type: str,
        filters: Filters,
        fields: Optional[List[str]] = None,
        order: Optional[List[Dict[str, str]]] = None,
        filter_operator: Optional[str] = None,
        retired_only: bool = False,
        include_archived_projects: bool = True,
        additional_filter_presets: Optional[List[Dict[str, Any]]] = None,
    ) -> Optional[Entity]:
        """Returns the first entity that matches, or None."""
        found: Optional[Entity] = self._site(
            "find_one",
            {"entity_type": entity_type, "filters": filters},
            fields=fields,
            order=order,
            filter_operator=_operator(filter_operator),
            retired_only=retired_only or None,
            include_archived_projects=None if include_archived_projects else False,
            additional_filter_presets=additional_filter_presets,
        )
        return found

    def summarize(
        self,
        entity_type: str,
        filters: Filters,
        summary_fields: List[Dict[str, str]],
        filter_operator: Optional[str] = None,
        grouping: Optional[List[Dict[str, str]]] = None,
        include_archived_projects: bool = True,
    ) -> Dict[str, Any]:
        """Returns `{"summaries": …, "groups": […]}`."""
        found: Dict[str, Any] = self._site(
            "summarize",
            {"entity_type": entity_type, "filters": filters, "summary_fields": summary_fields},
            filter_operator=_operator(filter_operator),
            grouping=grouping,
            include_archived_projects=None if include_archived_projects else False,
        )
        return found

    def text_search(
        self,
        text: str,
        entity_types: Dict[str, Any],
        project_ids: Optional[List[int]] = None,
        limit: Optional[int] = None,
    ) -> Dict[str, Any]:
        """Returns `{"matches": […], "terms": […]}`; the text needs three characters."""
        found: Dict[str, Any] = self._site(
            "text_search", {"text": text, "entity_types": entity_types}, project_ids=project_ids, limit=limit
        )
        return found

    def schema_read(self, project_entity: Optional[Entity] = None) -> Dict[str, Dict[str, Any]]:
        """Returns every entity type with its fields."""
        found: Dict[str, Dict[str, Any]] = self._site("schema_read", {}, project_entity=project_entity)
        return found

    def schema_entity_read(self, project_entity: Optional[Entity] = None) -> Dict[str, Dict[str, Any]]:
        """Returns the entity types."""
        found: Dict[str, Dict[str, Any]] = self._site("schema_entity_read", {}, project_entity=project_entity)
        return found

    def schema_field_read(
        self, entity_type: str, field_name: Optional[str] = None, project_entity: Optional[Entity] = None
    ) -> Dict[str, Dict[str, Any]]:
        """Returns the fields of one entity type, or one of them."""
        found: Dict[str, Dict[str, Any]] = self._site(
            "schema_field_read",
            {"entity_type": entity_type},
            field_name=field_name,
            project_entity=project_entity,
        )
        return found

    # Writing.

    def create(self, entity_type: str, data: Dict[str, Any], return_fields: Optional[List[str]] = None) -> Entity:
        """Returns the new entity: type, id, what was written, and `return_fields`."""
        found: Entity = self._site("create", {"entity_type": entity_type, "data": data}, return_fields=return_fields)
        return found

    def update(
        self,
        entity_type: str,
        entity_id: int,
        data: Dict[str, Any],
        multi_entity_update_modes: Optional[Dict[str, str]] = None,
    ) -> Entity:
        """Returns type, id and what was written. Modes of a multi-entity field: `set`, `add`, `remove`."""
        if not data:  # as the official client: nothing to say, nothing sent
            return {"type": entity_type, "id": entity_id}
        found: Entity = self._site(
            "update",
            {"entity_type": entity_type, "entity_id": entity_id, "data": data},
            multi_entity_update_modes=multi_entity_update_modes,
        )
        return found

    def delete(self, entity_type: str, entity_id: int) -> bool:
        """Returns True, or False when it was retired already."""
        return bool(self._site("delete", {"entity_type": entity_type, "entity_id": entity_id}))

    def revive(self, entity_type: str, entity_id: int) -> bool:
        """Returns True, or False when it was alive already."""
        return bool(self._site("revive", {"entity_type": entity_type, "entity_id": entity_id}))

    def batch(self, requests: List[Dict[str, Any]]) -> List[Any]:
        """Does all of the requests or none; returns one result for each."""
        if not requests:
            return []
        found: List[Any] = self._site("batch", {"requests": requests})
        return found

    # Files. Paths lie beneath the roots that the operator granted: `plugin.paths.data`, `plugin.paths.tmp`.

    def upload(
        self,
        entity_type: str,
        entity_id: int,
        path: str,
        field_name: Optional[str] = None,
        display_name: Optional[str] = None,
        tag_list: Optional[str] = None,
        created_at: Optional[datetime.datetime] = None,
    ) -> int:
        """Returns the id of the new Attachment."""
        found: int = self._site(
            "upload",
            {"entity_type": entity_type, "entity_id": entity_id, "path": str(path)},
            field_name=field_name,
            display_name=display_name,
            tag_list=tag_list,
            created_at=created_at,
        )
        return found

    def upload_thumbnail(self, entity_type: str, entity_id: int, path: str, **kwargs: Any) -> int:
        """Returns the id of the new Attachment."""
        found: int = self._site(
            "upload_thumbnail",
            {"entity_type": entity_type, "entity_id": entity_id, "path": str(path)},
            **kwargs,
        )
        return found

    def upload_filmstrip_thumbnail(self, entity_type: str, entity_id: int, path: str, **kwargs: Any) -> int:
        """Returns the id of the new Attachment."""
        known = {"entity_type": entity_type, "entity_id": entity_id, "path": str(path)}
        found: int = self._site("upload_filmstrip_thumbnail", known, **kwargs)
        return found

    def share_thumbnail(
        self,
        entities: List[Entity],
        thumbnail_path: Optional[str] = None,
        source_entity: Optional[Entity] = None,
        filmstrip_thumbnail: bool = False,
        **kwargs: Any,
    ) -> int:
        """Gives several entities one thumbnail: of a file, or of another entity."""
        found: int = self._site(
            "share_thumbnail",
            {"entities": entities},
            thumbnail_path=thumbnail_path,
            source_entity=source_entity,
            filmstrip_thumbnail=filmstrip_thumbnail or None,
            **kwargs,
        )
        return found

    def download(self, attachment: Union[Entity, int], file_path: str) -> str:
        """Writes an attachment to a file beneath a granted root; returns its path."""
        return str(self._site("download", {"attachment": attachment, "file_path": str(file_path)}))

    def download_attachment(
        self,
        attachment: Union[Entity, int, None] = None,
        file_path: Optional[str] = None,
        attachment_id: Optional[int] = None,
    ) -> str:
        """The official client's name for `download`; the file's path is needed here."""
        wanted = attachment if attachment is not None else attachment_id
        if wanted is None or file_path is None:
            raise BadCall("download_attachment needs an attachment and a file_path beneath a granted root")
        return self.download(wanted, file_path)

    def _site(self, method: str, params: Dict[str, Any], **options: Any) -> Any:
        for name, value in options.items():
            if value is not None:
                params[name] = value
        return _dates.inbound(self._send(method, params))


def _operator(name: Optional[str]) -> Optional[str]:
    if name not in _OPERATORS:
        raise BadCall(f"filter_operator is {name!r}; allowed: 'all', 'any'")
    return name
