"""pydicom quotes values in its warnings and log entries: none of them may leave the process."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "functions"


def importers() -> list[str]:
    """Return the modules that import pydicom."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
        if any(name.partition(".")[0] == "pydicom" for name in names):
            found.append(".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"))
    return found


# Each way out is tried after each way in: the logs as every entry point sets them up, and a module that imports pydicom.
LEAKS = """
import importlib, logging, sys, warnings
from dicom_export import logs
if sys.argv[2] == "logs first":
    logs.configure()
importlib.import_module(sys.argv[1])
if sys.argv[2] == "logs last":
    logs.configure()
from pydicom.charset import convert_encodings
from pydicom.misc import warn_and_log
for level in range(1, 4):
    warn_and_log("DOE^JOHN", stacklevel=level)
logging.getLogger("pydicom").critical("DOE^JOHN")
child = logging.getLogger("pydicom.pixels.utils")
child.setLevel(logging.DEBUG)
child.critical("DOE^JOHN")
convert_encodings(["DOE^JOHN", "ISO 2022 IR 87"])
code = compile("from pydicom.misc import warn_and_log\\nwarn_and_log('DOE^JOHN', stacklevel=2)", "x", "exec")
exec(code, {"__name__": "dicom_export.decoding.reference.header"})
logging.getLogger("dicom_export").error("heard")
"""


@pytest.mark.parametrize("order", ["logs first", "logs last"])
@pytest.mark.parametrize("module", importers())
def test_no_message_of_pydicom_leaves_the_process(module: str, order: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "PYTHONWARNINGS": "always"}
    command = [sys.executable, "-c", LEAKS, module, order]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "heard" in done.stdout
    assert "DOE" not in done.stdout + done.stderr


def test_the_modules_that_import_pydicom_are_found() -> None:
    assert {"dicom_export.dicom.dictionary", "dicom_export.dicom", "dicom_export.decoding.reference.parser"} <= set(
        importers()
    )
