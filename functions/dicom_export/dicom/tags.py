"""Tags that decoding knows by number, and marks of the encoding (PS3.5 §7, PS3.6)."""

from __future__ import annotations

MEDIA_STORAGE_SOP_CLASS_UID = 0x00020002
TRANSFER_SYNTAX_UID = 0x00020010
SPECIFIC_CHARACTER_SET = 0x00080005
TIMEZONE_OFFSET_FROM_UTC = 0x00080201
PIXEL_REPRESENTATION = 0x00280103

UIDS = (0x0020000D, 0x0020000E, 0x00080018)
"""Study, Series and SOP Instance UID, in the order of `InstanceUids`."""

PIXEL_DATA = 0x7FE00010
PIXELS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
"""Float, Double Float and integer Pixel Data."""

ITEM = 0xFFFEE000
ITEM_DELIMITER = 0xFFFEE00D
SEQUENCE_DELIMITER = 0xFFFEE0DD

FILE_META_GROUP = 0x0002
GROUPS_OUTSIDE_DATA_SETS = frozenset({0x0000, FILE_META_GROUP})

PRIVATE_CREATORS = range(0x10, 0x100)
"""The element numbers of private creators, in odd groups."""

UNDEFINED_LENGTH = 0xFFFFFFFF
ELEMENT_HEADER = 8
"""Bytes before a value: tag, VR and a length of 16 bits, or tag and a length of 32 bits."""
LONG_HEADER = 12
"""Bytes before a value whose VR is followed by a length of 32 bits."""
