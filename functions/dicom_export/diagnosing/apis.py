"""Check that the APIs are enabled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.diagnosing.findings import Finding, Subject, Unreadable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


def check_apis(project: str, needed: Collection[str], enabled: Collection[str] | Unreadable) -> Iterator[Finding]:
    """Yield one finding per API that is not enabled, or one for all."""
    if isinstance(enabled, Unreadable):
        yield Subject("apis", project).unknown(enabled)
        return
    missing = sorted(set(needed) - set(enabled))
    for api in missing:
        yield Subject("apis", api).wrong("not enabled", f"gcloud services enable {api} --project={project}")
    if not missing:
        yield Subject("apis", project).ok(f"{len(set(needed))} APIs are enabled")
