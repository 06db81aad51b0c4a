"""The licences of what is installed are listed, and are such that anybody may use it."""

from __future__ import annotations

import re

import pytest

from support.licences import PAGE, ROOT, licence_of, locked, page

# Of a choice (`A OR B`) one has to be among them. The Mozilla licence is about changes of the package itself.
ACCEPTED = {
    "0BSD",
    "Apache-2.0",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
}


def test_the_page_is_what_the_packages_say() -> None:
    assert PAGE.read_text() == page(), "`make lock` writes it"


@pytest.mark.parametrize("package", locked(ROOT / "requirements-s3.txt"))
def test_each_package_has_a_licence_that_anybody_can_keep(package: str) -> None:
    stated = licence_of(package)
    assert stated
    assert ACCEPTED.intersection(stated.split(" OR ")), stated


def test_each_lock_with_hashes_is_looked_through_for_vulnerabilities() -> None:
    (audited,) = re.findall(r"^AUDITED := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert audited.split() == [f"requirements{name}.txt" for name in ("", "-local", "-s3", "-dev")]
    for lock in audited.split():
        assert locked(ROOT / lock)
        assert "--hash=sha256:" in (ROOT / lock).read_text()
