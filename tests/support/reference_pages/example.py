"""The picture of the README: a query of the files that come with pydicom, and what it prints."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pydicom.data

from support.command_line import run

_FILE = "run/dicom.duckdb"
_SQL = """\
SELECT Modality, Manufacturer, COUNT(DISTINCT StudyInstanceUID) AS Studies,
  COUNT(*) AS Instances, MIN(StudyDate) AS FirstStudy
FROM dicom
WHERE Modality IN ('CT', 'MR', 'US') AND Manufacturer IS NOT NULL
GROUP BY Modality, Manufacturer
ORDER BY Modality, Instances DESC, Manufacturer"""


def example() -> str:
    """Return the query and its result as a block of text."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "dicom.duckdb"
        run("export", pydicom.data.__path__[0], "--to", file)  # some of the files fail: they are broken on purpose
        result = run("query", _SQL, "--from", file)
    return f'```\n$ .venv/bin/dicom-export query "{_SQL}" --from {_FILE}\n\n{result.stdout}```\n'
