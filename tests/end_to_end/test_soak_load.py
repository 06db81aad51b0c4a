"""Smaller loads of `soak.load`: many exports requested at once of `serve`, one large operation here and on the emulators."""

from __future__ import annotations

import pytest

from soak.figures import figures


def test_exports_requested_at_once_all_end_right_while_clients_poll() -> None:
    assert figures("load", "serve", "--exports", 60, "--clients", 20).endswith("; 0 wrong\n")


def test_a_local_operation_loses_nothing() -> None:
    assert figures("load", "local", "--instances", 3_000).endswith("; 0 wrong\n")


def test_large_headers_are_whole_rows() -> None:
    printed = figures("large", "--instances", 20, "--frames", 200, "--slide-frames", 2_000)
    assert "20 whole rows" in printed
    assert printed.count("; 0 wrong\n") == 2


@pytest.mark.usefixtures("emulators_are_installed")
def test_an_operation_on_the_emulators_loses_nothing() -> None:
    assert figures("load", "emulators", "--instances", 500).endswith("; 0 wrong\n")
