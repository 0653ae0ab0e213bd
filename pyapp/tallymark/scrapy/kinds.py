"""Under which type an item counts."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from itemadapter import ItemAdapter
from scrapy.utils.misc import load_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrapy.settings import BaseSettings

_log = logging.getLogger(__name__)

#: The protocol's limit for the name of a type, in characters.
_LONGEST_TYPE = 100
#: The classes of these modules, such as dict, say nothing about an item.
_NAMELESS = frozenset({"builtins", "collections", "types"})
#: The type of items that have no class of their own.
NAMELESS_TYPE = "items"


class Types:
    """Gives items their types."""

    def __init__(self, settings: "BaseSettings") -> None:
        """Read the setting `TALLYMARK_ITEM_TYPE`; a path that cannot be imported raises what the import raises."""
        setting = settings.get("TALLYMARK_ITEM_TYPE")
        if isinstance(setting, str) and setting.lstrip().startswith("{"):
            # From the command line.
            setting = settings.getdict("TALLYMARK_ITEM_TYPE")
        self._by_class: Mapping[str, str] = setting if isinstance(setting, Mapping) else {}
        self._field: str | None = None
        self._custom: Callable[[Any], object] | None = None
        if callable(setting) or (isinstance(setting, str) and "." in setting):
            self._custom = load_object(setting)
        elif isinstance(setting, str):
            self._field = setting or None
        self._warned: set[type] = set()

    def of(self, item: object) -> str:
        """Return the type of an item: what the setting gives, or else the name of its class."""
        class_ = type(item)
        try:
            name = self._own(item)
        except Exception:  # noqa: BLE001 - it is the user's code; the item must count whatever it raises
            name = None
            if class_ not in self._warned:
                self._warned.add(class_)
                _log.warning("TALLYMARK_ITEM_TYPE fails for %s, the class's name is used", class_, exc_info=True)
        if not name:
            name = NAMELESS_TYPE if class_.__module__ in _NAMELESS else class_.__name__
        return name[:_LONGEST_TYPE]

    def _own(self, item: object) -> str | None:
        if self._custom is not None:
            name = self._custom(item)
        elif self._field is not None:
            name = ItemAdapter(item).get(self._field)
        else:
            name = self._by_class.get(type(item).__name__)
        # Text that PostgreSQL can store.
        return None if name is None else str(name).replace("\0", "").encode("utf-8", "replace").decode()
