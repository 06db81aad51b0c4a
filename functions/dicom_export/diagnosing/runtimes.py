"""Check how long Google supports the runtime of the functions."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from dicom_export.diagnosing.findings import Finding, Subject, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dicom_export.diagnosing.facts import RuntimeFacts

_SOON = timedelta(days=180)
_MEND = (
    "upgrade to a version of dicom-export with a newer runtime (infra/README.md, Upgrade), and run `terraform apply`"
)


def check_runtime(runtime: str, known: Mapping[str, RuntimeFacts] | Unreadable, today: date) -> Iterator[Finding]:
    """Yield the finding about a runtime, such as python311."""
    subject = Subject("runtime", runtime)
    if isinstance(known, Unreadable):
        yield subject.unknown(known)
        return
    found = known.get(runtime)
    if found is None:
        yield subject.wrong("is not a runtime of the region any longer", _MEND)
    elif found.decommissioned and found.decommissioned <= today:
        yield subject.wrong(f"was decommissioned on {found.decommissioned}", _MEND)
    elif found.deprecated and found.deprecated <= today:
        yield subject.wrong(f"is deprecated since {found.deprecated}: functions get no security patches", _MEND)
    elif found.deprecated and found.deprecated - today <= _SOON:
        yield subject.notice(f"will be deprecated on {found.deprecated}", _MEND)
    else:
        yield subject.ok(f"will be deprecated on {found.deprecated}" if found.deprecated else "is supported")
