"""The names of private elements are those that pydicom knows."""

from __future__ import annotations

from pydicom.datadict import private_dictionary_description

from dicom_export.dicom.private_names import name_blocks


def test_every_name_is_that_of_pydicom_for_an_element_of_the_block() -> None:
    for block in name_blocks():
        prefix = block.prefix.replace("xxxx", "03xx").replace("xx", "77")
        for creator in block.creators:
            for entry in block.entries:
                tag = int(prefix + entry[:2], 16)
                assert private_dictionary_description(tag, creator) == entry[2:], (creator, prefix, entry)


def test_names_and_creators_have_no_character_that_separates_them() -> None:
    texts = [text for block in name_blocks() for text in (*block.creators, *block.entries)]

    assert not [text for text in texts if set(text) & set("|\t\n")]
    assert len(texts) > 6_000
