"""Differences of states, and their application: what a page does, done here as well.

Pure. An update has ``set``, fields of new or changed entries, and ``remove``, keys of entries that
are gone; both by collection. ``docs/design/monitor.md`` has the format.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from p2p.monitor.source import Entry, State

#: A state that is changed in place.
Mutable: TypeAlias = dict[str, dict[str, dict[str, Any]]]


def difference(old: State, new: State) -> dict[str, Any]:
    """Return the update from ``old`` to ``new``; parts without a change are left out."""
    changed: dict[str, dict[str, Entry]] = {}
    removed: dict[str, list[str]] = {}
    for name in old.keys() | new.keys():
        before, after = old.get(name, {}), new.get(name, {})
        entries = {
            key: fields
            for key, entry in after.items()
            if (fields := _changed(before.get(key), entry)) is not None
        }
        gone = [key for key in before if key not in after]
        if entries:
            changed[name] = entries
        if gone:
            removed[name] = gone
    update = {"set": changed, "remove": removed}
    return {part: value for part, value in update.items() if value}


def apply(update: Entry, state: Mutable) -> None:
    """Make the changes of ``update`` in ``state``."""
    for name, entries in update.get("set", {}).items():
        collection = state.setdefault(name, {})
        for key, fields in entries.items():
            collection.setdefault(key, {}).update(fields)
    for name, keys in update.get("remove", {}).items():
        for key in keys:
            state.get(name, {}).pop(key, None)


def _changed(before: Entry | None, after: Entry) -> Entry | None:
    """Return the fields that differ, all of a new entry; None if there is nothing to say."""
    if before is None:
        return after
    fields = {name: value for name, value in after.items() if before.get(name) != value}
    return fields or None
