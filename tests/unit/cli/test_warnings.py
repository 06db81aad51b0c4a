from __future__ import annotations

import io
import logging

from rich.console import Console

from dicom_export.cli.console import warnings_on
from dicom_export.cli.verbosity import Verbosity

log = logging.getLogger("dicom_export.test_warnings")


def printed(verbosity: Verbosity = Verbosity.NORMAL, *, names: list[str]) -> list[str]:
    stream = io.StringIO()
    with warnings_on(Console(file=stream, soft_wrap=True, highlight=False), verbosity):
        for name in names:
            log.warning("%r cannot be listed", name)
        log.error("It failed: %s", "x", extra={"payload": {"resourceName": "a.dcm"}})
    return stream.getvalue().splitlines()


def test_repeated_warnings_are_summed_up_at_the_end() -> None:
    lines = printed(names=[f"folder{number}" for number in range(12)])
    assert len(lines) == 6
    assert lines[0] == "Warning: 'folder0' cannot be listed"
    assert lines[-1] == "12 warnings in all, 7 of them not shown: … cannot be listed"


def test_the_same_warning_is_printed_once() -> None:
    assert printed(names=["a", "a", "b", "a"]) == [
        "Warning: 'a' cannot be listed",
        "Warning: 'b' cannot be listed",
        "4 warnings in all, 2 of them not shown: … cannot be listed",
    ]


def test_verbose_prints_every_warning_and_every_failed_object() -> None:
    lines = printed(Verbosity.VERBOSE, names=["a"] * 7)
    assert lines == [*["Warning: 'a' cannot be listed"] * 7, "Error: a.dcm: It failed: x"]
