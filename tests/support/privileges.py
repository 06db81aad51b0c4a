"""Permissions that count, also where tests run as root: to whom Linux closes no folder."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def permissions_count() -> Iterator[None]:
    """Have this thread, and those that it starts, go without root's right to pass over the permissions of files."""
    if os.geteuid() != 0:
        yield
        return
    header, data = _Header(_VERSION_3, 0), (_Data * 2)()
    _call(_LIBC.capget, header, data)
    before = data[0].effective
    data[0].effective = before & ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)
    _call(_LIBC.capset, header, data)
    try:
        yield
    finally:
        data[0].effective = before
        _call(_LIBC.capset, header, data)


def _call(function: ctypes._NamedFuncPointer, header: _Header, data: ctypes.Array[_Data]) -> None:
    if function(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), "capabilities cannot be changed")
