"""Fixtures that several files of end-to-end tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.deploy_page import Reader, hosts_of, outputs_of

if TYPE_CHECKING:
    from pathlib import Path

    from support.clouds import Cloud
    from support.emulators.bigquery import BigQuery
    from support.emulators.pubsub import PubSub


@pytest.fixture
def reader(
    tmp_path: Path, gcloud: str, installation: Cloud, pubsub_emulator: PubSub, bigquery_emulator: BigQuery
) -> Reader:
    """Return a reader of a page whose `terraform output` is that of the test file's installation."""
    hosts = hosts_of(pubsub_emulator, bigquery_emulator)
    return Reader(tmp_path, gcloud, outputs_of(installation), installation.api.port, hosts)
