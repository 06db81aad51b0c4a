"""The private elements of the current instances, with the names of pydicom's private dictionary."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from dicom_export.dicom.private_names import name_blocks

if TYPE_CHECKING:
    from dicom_export.views.dialect import Dialect

# PS3.5 §7.8: groups are odd, and the creator in (gggg,00bb) reserves the elements (gggg,bb00) to (gggg,bbFF).
_IS_IN_BLOCK = "SUBSTR({tag}, 4, 1) IN ('1', '3', '5', '7', '9', 'B', 'D', 'F') AND SUBSTR({tag}, 5, 2) <> '00'"

_IN_LIST = "|"  # no creator or name of the dictionary has it

_NAMED = """\
WITH latest AS (
{current}
), elements AS (
{elements}
), names AS (
{names}
)
SELECT
  elements.SOPInstanceUID,
  elements.PrivateCreator,
  CONCAT('(', SUBSTR(elements.Tag, 1, 4), ',xx', SUBSTR(elements.Tag, 7, 2), ')') AS Tag,
  COALESCE(in_block.name, in_any_block.name, in_any_group.name) AS Name,
  elements.Data
FROM elements
LEFT JOIN names AS in_block
  ON in_block.creator = elements.PrivateCreator AND in_block.tag = elements.Tag
LEFT JOIN names AS in_any_block
  ON in_any_block.creator = elements.PrivateCreator
  AND in_any_block.tag = CONCAT(SUBSTR(elements.Tag, 1, 4), 'xx', SUBSTR(elements.Tag, 7, 2))
LEFT JOIN names AS in_any_group
  ON in_any_group.creator = elements.PrivateCreator
  AND in_any_group.tag = CONCAT(SUBSTR(elements.Tag, 1, 2), 'xxxx', SUBSTR(elements.Tag, 7, 2))"""


def private_elements(current: str, sql: Dialect, *, is_json: bool) -> str:
    """Return the query with one row per private element of the top level, sequences excepted."""
    elements = _in_json(sql) if is_json else _in_other_elements(sql)
    return _NAMED.format(current=current, elements=elements, names=_names(type(sql)))


def _in_other_elements(sql: Dialect) -> str:
    tag = "SUBSTR(element.Tag, 5)"
    creator = f"CONCAT('Tag_', SUBSTR({tag}, 1, 4), '00', SUBSTR({tag}, 5, 2))"
    return (
        f"SELECT latest.SOPInstanceUID, {tag} AS Tag, element.Data,\n"  # noqa: S608 - text of ours
        f"  (SELECT MIN({sql.element('creator.Data', 0)}) FROM {sql.unnest('latest.OtherElements', 'creator')}"
        f" WHERE creator.Tag = {creator}) AS PrivateCreator\n"
        f"FROM latest, {sql.unnest('latest.OtherElements', 'element')}\n"
        f"WHERE {_IS_IN_BLOCK.format(tag=tag)}"
    )


def _in_json(sql: Dialect) -> str:
    member = sql.json_member("latest.Metadata", "tag")
    creator = sql.json_member("latest.Metadata", "CONCAT(SUBSTR(tag, 1, 4), '00', SUBSTR(tag, 5, 2))")
    return (
        f"SELECT latest.SOPInstanceUID, tag AS Tag, {sql.json_texts(member, '$.Value')} AS Data,\n"
        f"  {sql.json_text(creator, '$.Value[0]')} AS PrivateCreator\n"
        f"FROM latest, {sql.unnest(sql.json_keys('latest.Metadata'), 'tag')}\n"
        f"WHERE {_IS_IN_BLOCK.format(tag='tag')} AND {sql.json_text(member, '$.vr')} <> 'SQ'"
    )


@cache
def _names(dialect: type[Dialect]) -> str:
    """Return the query of the names: one text, because a database parses that faster than thousands of records."""
    sql = dialect()
    lines = (
        "\t".join((block.prefix, _IN_LIST.join(block.creators), _IN_LIST.join(block.entries)))
        for block in name_blocks()
    )
    prefix, creators, entries = (sql.element(sql.split("block", "\t"), position) for position in range(3))
    return (
        f"SELECT creator, CONCAT({prefix}, SUBSTR(entry, 1, 2)) AS tag, SUBSTR(entry, 3) AS name\n"
        f"FROM {sql.unnest(sql.split(sql.text(chr(10).join(lines)), chr(10)), 'block')},\n"
        f"  {sql.unnest(sql.split(creators, _IN_LIST), 'creator')},\n"
        f"  {sql.unnest(sql.split(entries, _IN_LIST), 'entry')}"
    )
