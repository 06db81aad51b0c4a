"""Parse PN (PS3.5 §6.2.1): up to three groups, separated by `=`, of up to five components, separated by `^`."""

from __future__ import annotations

from dicom_export.rows.schema import NAME_GROUPS, NAME_PARTS

Name = dict[str, dict[str, str | None] | None]


def person_name(text: str) -> Name | None:
    """Return the name as a record with every group and component; missing ones are None.

    Return None if no component has text.
    """
    groups = text.split("=")
    name = {group: _group(groups[i]) if i < len(groups) else None for i, group in enumerate(NAME_GROUPS)}
    return name if any(name.values()) else None


def is_well_formed(text: str) -> bool:
    """Return whether the name has no text beyond three groups of five components."""
    groups = text.split("=")
    return not any(groups[len(NAME_GROUPS) :]) and not any(
        part for group in groups for part in group.split("^")[len(NAME_PARTS) :]
    )


def _group(text: str) -> dict[str, str | None] | None:
    if not text:
        return None
    parts = [part if part.strip(" \0") else None for part in text.split("^")]
    if not any(parts[: len(NAME_PARTS)]):
        return None
    return {part: parts[i] if i < len(parts) else None for i, part in enumerate(NAME_PARTS)}
