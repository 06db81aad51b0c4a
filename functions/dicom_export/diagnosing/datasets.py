"""Check the datasets, and the staging datasets of overwrites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_export.diagnosing.findings import Finding, Subject, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_export.diagnosing.facts import DatasetFacts
    from dicom_export.diagnosing.installation import InstalledDataset


def check_dataset(
    expected: InstalledDataset, found: DatasetFacts | Unreadable | None, staging: DatasetFacts | Unreadable | None
) -> Iterator[Finding]:
    """Yield the findings about a dataset, then those about its staging dataset."""
    subject = Subject("datasets", expected.name)
    if isinstance(found, Unreadable):
        yield subject.unknown(found)
    elif found is None:
        yield subject.wrong(
            "does not exist",
            f"bq mk --dataset {expected.name.replace('.', ':')}, or `create = true` in the Terraform input `datasets`",
        )
    else:
        yield subject.ok(f"exists in {found.location}")
    yield from _check_staging(Subject("datasets", expected.staging), found, staging)


def _check_staging(
    subject: Subject, found: DatasetFacts | Unreadable | None, staging: DatasetFacts | Unreadable | None
) -> Iterator[Finding]:
    if isinstance(staging, Unreadable):
        yield subject.unknown(staging)
        return
    if staging is None:
        yield subject.wrong("the dataset for overwrites does not exist", "terraform apply")
        return
    if found and not isinstance(found, Unreadable) and found.location.upper() != staging.location.upper():
        yield subject.wrong(
            f"is in {staging.location}, its dataset is in {found.location}: no job reads across locations",
            f"bq rm -r --dataset {subject.name.replace('.', ':')}, then terraform apply",
        )
    elif staging.readers:
        yield subject.wrong(
            f"{', '.join(staging.readers)} may read it: rows of an overwrite have no policies before it ends",
            "terraform apply",
        )
    else:
        yield subject.ok(f"exists in {staging.location}; only the functions read it")
