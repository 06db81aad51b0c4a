"""`dicom-export export`, `verify` and `estimate` of buckets."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from contextlib import contextmanager
from io import BytesIO
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
import pytest
from google.auth.exceptions import RefreshError, TransportError
from werkzeug.serving import make_server

from dicom_export.adapters.gcp.calls import RETRY
from dicom_export.adapters.gcp.storage import client as google_client
from dicom_export.adapters.gcp.storage.ranges import Ranges
from support.command_line import SMALL_MESSAGES, make_folder, operation_ids, rows, run, start, wait_for
from support.emulators import s3
from support.thorough import by_extent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    from support.emulators.s3 import S3
    from support.emulators.storage import Storage

COUNT = 300
SAMPLE = 31
"""The columns of a table are guessed from a tenth of a page of the plan."""
MANY = by_extent(1_200, 10_000)
"""More than one process decodes."""
AT_ONCE = 4
NOT_OF_THE_SOURCE = "SELECT * EXCLUDE (SourceObject, SourceGeneration, LastUpdated) FROM dicom ORDER BY SOPInstanceUID"


class Service(Protocol):
    """A service with buckets, and the objects that were read there."""

    @property
    def uri(self) -> str:
        """The address of a folder of a bucket, without a slash at its end."""

    def put(self, name: str, content: bytes) -> None:
        """Write an object of the folder."""

    def reads(self) -> list[str]:
        """Return the names of the objects that were read, one per request."""


class GoogleService:
    def __init__(self, storage: Storage, patch: pytest.MonkeyPatch) -> None:
        self._storage = storage
        self._bucket = storage.make_bucket()
        self._reads: list[str] = []
        self.uri = f"gs://{self._bucket}/archive/dicom"
        read = Ranges.read

        def counted(ranges: Ranges, bucket: str, name: str, *arguments: Any) -> bytes:
            self._reads.append(name)
            return read(ranges, bucket, name, *arguments)

        patch.setattr(Ranges, "read", counted)

    def put(self, name: str, content: bytes, storage_class: str = "STANDARD") -> None:
        self._storage.put(self._bucket, f"archive/dicom/{name}", content, storage_class=storage_class)

    def reads(self) -> list[str]:
        return [name.removeprefix("archive/dicom/") for name in self._reads]


class S3Service:
    def __init__(self, server: S3, *, is_public: bool = False) -> None:
        self._server = server
        self._is_public = is_public
        self._bucket = server.make_bucket()
        self._begin = len(server.front.reads)
        self.uri = f"s3://{self._bucket}/archive/dicom"

    def put(self, name: str, content: bytes) -> None:
        self._server.put(self._bucket, f"archive/dicom/{name}", content, is_public=self._is_public)

    def reads(self) -> list[str]:
        return [read.key.removeprefix("archive/dicom/") for read in self._server.front.reads[self._begin :]]


@pytest.fixture(params=["gs", "s3"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Service:
    if request.param == "s3":
        return S3Service(request.getfixturevalue("s3_server"))
    return GoogleService(request.getfixturevalue("storage_emulator"), monkeypatch)


@pytest.fixture
def scans(service: Service, tmp_path: Path) -> Path:
    """Return a folder whose files are objects of the service, too."""
    return filled(service, make_folder(tmp_path / "scans", COUNT))


def filled(service: Service, folder: Path) -> Path:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            service.put(path.relative_to(folder).as_posix(), path.read_bytes())
    return folder


def test_the_rows_are_those_of_a_folder_and_name_their_objects(service: Service, scans: Path, tmp_path: Path) -> None:
    of_bucket, of_folder = tmp_path / "bucket.duckdb", tmp_path / "folder.duckdb"
    done = run("export", service.uri, "--to", of_bucket)
    assert f"{COUNT} of {COUNT} instances (1 study) exported" in done.output
    assert run("export", scans, "--to", of_folder).exit_code == done.exit_code == 0
    assert rows(of_bucket, NOT_OF_THE_SOURCE) == rows(of_folder, NOT_OF_THE_SOURCE)
    sources = rows(of_bucket, "SELECT SourceObject, SourceGeneration FROM dicom ORDER BY 1")
    assert [name for name, _ in sources] == [f"{service.uri}/{number:06d}.dcm" for number in range(COUNT)]
    assert all(generation > 0 for _, generation in sources)


@pytest.mark.usefixtures("scans")
def test_each_header_is_read_by_one_request_and_those_of_the_sample_by_another(
    service: Service, tmp_path: Path
) -> None:
    assert run("export", f"{service.uri}/", "--to", tmp_path / "scans.duckdb").exit_code == 0
    assert times(service.reads()) == {1: COUNT - SAMPLE, 2: SAMPLE}


def times(names: list[str]) -> Counter[int]:
    """Return how many names there are once, twice and so on."""
    return Counter(Counter(names).values())


@pytest.mark.usefixtures("scans")
def test_the_same_command_again_adds_only_what_is_new(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "scans.duckdb"
    command = ("export", service.uri, "--to", file, "--write-disposition", "write-append")
    assert run(*command).exit_code == 0
    before = len(service.reads())
    other = make_folder(tmp_path / "other", 1) / "000000.dcm"
    service.put("new.dcm", other.read_bytes().replace(b"1.2.3.4.1000000000000", b"1.2.3.4.1000000000999"))
    done = run(*command)
    assert "1 of 1 instances" in done.output
    assert f"{COUNT} files have a row in the table already" in done.output
    assert {*service.reads()[before:]} == {"new.dcm"}


@pytest.mark.usefixtures("scans")
def test_verify_finds_and_repairs_what_is_missing(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "scans.duckdb"
    assert run("export", service.uri, "--to", file).exit_code == 0
    assert "0 missing, 0 stale, 0 orphaned" in run("verify", service.uri, "--from", file).output
    with duckdb.connect(str(file)) as connection:
        connection.execute("DELETE FROM dicom WHERE SOPInstanceUID LIKE '%7'")
    found = run("verify", service.uri, "--from", file, "--limit", 1)
    assert "30 missing, 0 stale, 0 orphaned" in found.output
    assert found.exit_code == 1
    repaired = run("verify", service.uri, "--from", file, "--repair")
    assert "30 instances exported" in repaired.output
    assert repaired.exit_code == 0
    assert rows(file, "SELECT COUNT(*), COUNT(DISTINCT SOPInstanceUID) FROM dicom") == [(COUNT, COUNT)]


@pytest.mark.usefixtures("scans")
def test_the_estimate_is_of_the_bucket(service: Service) -> None:
    answer = json.loads(run("estimate", service.uri, "--format", "json").output)
    assert answer["exact"]["objects"] == str(COUNT)
    assert answer["sampledObjects"] in (200, "200")


@pytest.mark.usefixtures("scans")
def test_filters_ignored_names_and_times_hold(service: Service, tmp_path: Path) -> None:
    wanted = tmp_path / "filter.csv"
    (study,) = {row[0] for row in exported(service, tmp_path / "all.duckdb", "StudyInstanceUID")}
    (series,) = {row[0] for row in exported(service, tmp_path / "all2.duckdb", "SeriesInstanceUID")}
    wanted.write_text(f"/studies/{study}/series/{series}/instances/1.2.3.4.1000000000005\n")
    names = exported(service, tmp_path / "one.duckdb", "SourceObject", "--filter", wanted)
    assert names == [(f"{service.uri}/000005.dcm",)]
    names = exported(service, tmp_path / "few.duckdb", "SourceObject", "--ignore", "0001*", "--ignore", "0002*")
    assert len(names) == 100
    later = run("export", service.uri, "--to", tmp_path / "later.duckdb", "--since", "2999-01-01")
    assert f"No file in {service.uri}/ was modified after the time of --since" in later.output


def exported(service: Service, file: Path, column: str, *options: object) -> list[tuple[Any, ...]]:
    assert run("export", service.uri, "--to", file, *options).exit_code == 0
    return rows(file, f"SELECT {column} FROM dicom ORDER BY 1")  # noqa: S608 - the test's own


def test_members_of_archives_are_read(service: Service, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "scans", 3)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(f"series/{path.name}", path.read_bytes())
    service.put("scans.zip", packed.getvalue())
    names = exported(service, tmp_path / "scans.duckdb", "SourceObject", "--archives")
    assert names == [(f"{service.uri}/scans.zip#series/{number:06d}.dcm",) for number in range(3)]


def test_an_empty_folder_says_so(service: Service, tmp_path: Path) -> None:
    done = run("export", f"{service.uri}/nothing", "--to", tmp_path / "scans.duckdb")
    assert f"The folder {service.uri}/nothing/ is empty" in done.output
    assert done.exit_code == 0


@pytest.mark.usefixtures("scans")
def test_a_killed_export_is_resumed_without_a_row_twice(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "scans.duckdb"
    claims = (tmp_path / "scans.duckdb.state/state").glob
    process = start("export", service.uri, "--to", file, before=SMALL_MESSAGES)
    wait_for(lambda: len([*claims("**/claims/**/*.json")]) >= 2, process)
    process.kill()
    process.communicate()
    (begun,) = operation_ids(file)
    done = run("export", service.uri, "--to", file)
    assert f"Resuming export {begun}" in done.output
    assert f"{COUNT} of {COUNT} instances" in done.output
    assert rows(file, "SELECT COUNT(*), COUNT(DISTINCT SOPInstanceUID) FROM dicom") == [(COUNT, COUNT)]


def test_reads_of_a_bucket_overlap(s3_server: S3, tmp_path: Path) -> None:
    service = S3Service(s3_server)
    filled(service, make_folder(tmp_path / "scans", COUNT))
    with s3_server.front.together(AT_ONCE, after=SAMPLE + AT_ONCE):
        assert run("export", service.uri, "--to", tmp_path / "scans.duckdb").exit_code == 0


def test_a_header_is_read_as_often_by_several_processes(s3_server: S3, tmp_path: Path) -> None:
    service = S3Service(s3_server)
    filled(service, make_folder(tmp_path / "scans", MANY))
    done = run("export", service.uri, "--to", tmp_path / "scans.duckdb")
    assert f"{MANY:,} of {MANY:,} instances" in done.output
    found = times(service.reads())
    assert found == {1: MANY - found[2], 2: found[2]}
    assert 0 < found[2] <= 1 + MANY // 10


@pytest.mark.parametrize("command", ["export", "verify", "estimate"])
def test_a_bucket_that_is_not_there_is_wrong_usage(service: Service, command: str, tmp_path: Path) -> None:
    scheme = service.uri.partition(":")[0]
    done = asked(command, f"{scheme}://no-such-bucket/scans", tmp_path)
    assert (done.exit_code, done.stderr) == (2, "Error: Bucket 'no-such-bucket' was not found\n")


def asked(command: str, uri: str, tmp_path: Path, *options: object, env: dict[str, str] | None = None) -> Any:
    (tmp_path / "known.duckdb").touch()
    files = {"export": ("--to", tmp_path / "new.duckdb"), "verify": ("--from", tmp_path / "known.duckdb")}
    done = run(command, uri, *files.get(command, ()), *options, env=env)
    assert not (tmp_path / "new.duckdb").exists()
    return done


@pytest.fixture
def new_clients() -> Iterator[None]:
    """Have this test use clients of its own: others have been made with other settings."""
    from dicom_export.adapters.aws import calls  # noqa: PLC0415 - as the command does

    makers: tuple[Callable[..., Any], ...] = (calls._client_of_this_process, google_client._client_of_this_process)
    for maker in makers:
        maker.cache_clear()  # type: ignore[attr-defined]
    yield
    for maker in makers:
        maker.cache_clear()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("new_clients")
@pytest.mark.parametrize("command", ["export", "verify", "estimate"])
def test_missing_aws_credentials_are_wrong_usage(
    s3_server: S3, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in s3.ENVIRONMENT.keys() - s3.NO_CREDENTIALS.keys():
        monkeypatch.delenv(name)
    bucket = s3_server.make_bucket()
    done = asked(command, f"s3://{bucket}/", tmp_path)
    assert done.exit_code == 2
    assert f"s3://{bucket}/ cannot be read without AWS credentials" in done.stderr
    assert "or add --anonymous if the bucket is public" in done.stderr
    assert asked("estimate", f"s3://{bucket}/", tmp_path, "--anonymous").exit_code == 0


@pytest.mark.usefixtures("new_clients")
def test_missing_google_credentials_are_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    done = asked("export", "gs://some-bucket/scans", tmp_path)
    assert done.exit_code == 2
    assert "gs://some-bucket/scans/ cannot be read without Google credentials" in done.stderr
    assert "gcloud auth application-default login" in done.stderr
    assert "--anonymous" in done.stderr


@pytest.mark.usefixtures("new_clients")
@pytest.mark.parametrize(
    ("reason", "exit_code", "message"),
    [
        (
            RefreshError("Reauthentication is needed. Please run it.", {"error": "invalid_grant"}),
            2,
            "cannot be read, because the Google credentials are refused (Reauthentication is needed): run `gcloud auth",
        ),
        (TransportError("no route"), 1, "Error: Listing gs://some-bucket/scans/: TransportError: no route"),
    ],
    ids=["refused", "unreachable"],
)
def test_the_last_reason_is_told_when_retries_have_ended(
    reason: Exception, exit_code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise reason

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr("google.cloud.storage.Client.list_blobs", fail)
    monkeypatch.setattr("dicom_export.adapters.gcp.storage.checking._SHORT", RETRY.with_timeout(0.01))
    done = asked("export", "gs://some-bucket/scans", tmp_path)
    assert done.exit_code == exit_code
    assert message in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Listing s3://theirs/scans/: Access Denied (AccessDenied): expected credentials with s3:ListBucket"),
        (("--anonymous",), "s3://theirs/scans/ cannot be listed without credentials: the bucket is not public"),
    ],
)
def test_a_refusal_of_s3_is_wrong_usage(
    s3_server: S3, options: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_server.front, "refusal", ("403 Forbidden", "AccessDenied", "Access Denied"))
    done = asked("export", "s3://theirs/scans", tmp_path, *options)
    assert (done.exit_code, done.stderr.startswith(f"Error: {message}")) == (2, True)


@contextmanager
def refusing(status: str, message: str) -> Iterator[str]:
    """Run a Cloud Storage that answers each request with an error, and yield its address."""

    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps({"error": {"code": int(status[:3]), "message": message}}).encode()]

    server = make_server("127.0.0.1", 0, app)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        server.server_close()


NO_LIST = "someone@example.com does not have storage.objects.list access to the Google Cloud Storage bucket"
PAYS = "Bucket is a requester pays bucket but no user project provided"


@pytest.mark.usefixtures("new_clients")
@pytest.mark.parametrize(
    ("status", "answer", "options", "message"),
    [
        ("403 Forbidden", NO_LIST, (), f"{NO_LIST}: expected credentials with the role roles/storage.objectViewer"),
        (
            "401 Unauthorized",
            NO_LIST,
            ("--anonymous",),
            "cannot be listed without credentials: the bucket is not public",
        ),
        ("400 Bad Request", PAYS, (), f"{PAYS}: add --user-project PROJECT"),
    ],
    ids=["403", "401", "400"],
)
def test_a_refusal_of_cloud_storage_is_wrong_usage(
    status: str, answer: str, options: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing(status, f"{answer}.") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        done = asked("export", "gs://theirs/scans", tmp_path, *options)
    assert done.exit_code == 2
    assert message in done.stderr


def test_anonymous_requests_have_no_signature(s3_server: S3, tmp_path: Path) -> None:
    service = S3Service(s3_server, is_public=True)
    filled(service, make_folder(tmp_path / "scans", 2))
    for file, options, is_signed in (("a", (), True), ("b", ("--anonymous",), False)):
        before = len(s3_server.front.reads)
        assert run("export", service.uri, "--to", tmp_path / f"{file}.duckdb", *options).exit_code == 0
        assert {read.is_signed for read in s3_server.front.reads[before:]} == {is_signed}


def test_objects_that_may_not_be_read_are_failures(s3_server: S3, tmp_path: Path) -> None:
    service = S3Service(s3_server)
    filled(service, make_folder(tmp_path / "scans", 2))
    done = run("export", service.uri, "--to", tmp_path / "scans.duckdb", "--anonymous")
    assert done.exit_code == 1
    assert "Finished, but 2 failed:" in done.output
    assert f"Reading {service.uri}/000000.dcm: Forbidden (403)" in done.output


def test_objects_of_cold_classes_are_read_only_if_asked_for(
    storage_emulator: Storage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = GoogleService(storage_emulator, monkeypatch)
    standard, cold = sorted(make_folder(tmp_path / "scans", 2).iterdir())
    service.put("standard.dcm", standard.read_bytes())
    service.put("cold.dcm", cold.read_bytes(), "COLDLINE")
    file = tmp_path / "scans.duckdb"
    refused = run("export", service.uri, "--to", file)
    assert refused.exit_code == 1
    assert "FAILED_PRECONDITION: The export would read objects in cold storage classes: 1 in COLDLINE" in refused.output
    assert "on one machine, add --allow-cold-reads" in refused.output
    assert service.reads() == []
    assert "1 of 1 instances" in run("export", service.uri, "--to", file, "--ignore", "cold.dcm").output
    verified = run("verify", service.uri, "--from", file)
    assert verified.exit_code == 2
    assert f"{service.uri}/cold.dcm has no row that names it, and is in the storage class COLDLINE" in verified.stderr
    assert "cold.dcm" not in service.reads()
    verified = run("verify", service.uri, "--from", file, "--allow-cold-reads", "--repair")
    assert "1 instances exported" in verified.output
    assert verified.exit_code == 0
    assert "0 missing, 0 stale, 0 orphaned" in run("verify", service.uri, "--from", file).output
    done = run("export", service.uri, "--to", tmp_path / "all.duckdb", "--allow-cold-reads")
    assert "2 of 2 instances" in done.output


def test_an_endpoint_can_be_named(s3_server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = S3Service(s3_server)
    filled(service, make_folder(tmp_path / "scans", 2))
    monkeypatch.delenv(s3.ENDPOINT_VARIABLE)
    done = run("export", service.uri, "--to", tmp_path / "scans.duckdb", "--endpoint-url", s3_server.url)
    assert "2 of 2 instances" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scans", "--anonymous"), "--anonymous is for a bucket, and '.*scans' is a folder"),
        (("scans", "--user-project", "p"), "--user-project is for a bucket of Cloud Storage, gs://BUCKET, and not for"),
        (("s3://bucket", "--user-project", "p"), "--user-project is for a bucket of Cloud Storage"),
        (("s3://bucket", "--allow-cold-reads"), "--allow-cold-reads is for a bucket of Cloud Storage"),
        (("gs://bucket", "--endpoint-url", "http://localhost"), "--endpoint-url is for an S3 bucket, s3://BUCKET"),
        (
            ("s3://bucket", "--endpoint-url", "localhost:9000"),
            "Invalid --endpoint-url 'localhost:9000': expected https",
        ),
        (("gs://Bucket/a",), "'gs://Bucket/a' is not a Cloud Storage URI; expected gs://BUCKET/FOLDER"),
        (("s3://b/a",), "'s3://b/a' is not an S3 URI; expected s3://BUCKET/FOLDER"),
        (("s3://bucket/a//b",), "'s3://bucket/a//b' has an empty part"),
    ],
)
def test_wrong_addresses_and_options_are_wrong_usage(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "scans")
    done = asked("export", arguments[0], tmp_path, *arguments[1:])
    assert done.exit_code == 2
    assert re.search(message, done.stderr)


@pytest.mark.parametrize("command", ["watch", "export-files"])
def test_other_commands_refuse_a_bucket(command: str, tmp_path: Path) -> None:
    done = run(command, "s3://bucket/scans", "--to", tmp_path / "scans.duckdb")
    assert done.exit_code == 2
    assert f"'s3://bucket/scans' is a bucket, and `{command}` needs a folder" in done.stderr


def test_serve_refuses_a_bucket(tmp_path: Path) -> None:
    done = run("serve", "--store", "scans=gs://bucket/scans", "--data", tmp_path / "data")
    assert done.exit_code == 2
    assert "'gs://bucket/scans' of scans is a bucket: expected a folder" in done.stderr


@pytest.mark.parametrize(
    ("uri", "library", "extra"), [("gs://bucket", "pycurl", "cloud"), ("s3://bucket", "botocore", "s3")]
)
def test_without_the_library_a_sentence_says_what_to_install(
    uri: str, library: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_export.bootstrap.libraries.find_spec", lambda name: None if name == library else name)
    done = asked("export", uri, tmp_path)
    assert done.exit_code == 2
    assert (
        f"Error: {uri}/ is a bucket, but {library} is not installed: pip install 'dicom-export[{extra}]'" in done.stderr
    )
