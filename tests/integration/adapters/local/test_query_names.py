"""Names, tables and rows of a query: UNNEST, aliases, INFORMATION_SCHEMA, and what is refused."""

# ruff: noqa: S608 - the SQL is the tests' own

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from dicom_export.adapters.local.duckdb.query import run_query
from dicom_export.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

CODE = "STRUCT(CodeValue VARCHAR, CodingSchemeDesignator VARCHAR, CodeMeaning VARCHAR)[]"
ITEM = f"STRUCT(ValueType VARCHAR, ConceptNameCodeSequence {CODE}, ConceptCodeSequence {CODE}, TextValue VARCHAR, UID VARCHAR)[]"
GROUP = f"STRUCT(ValueType VARCHAR, ConceptNameCodeSequence {CODE}, ContentSequence {ITEM})[]"
ROOT = f"STRUCT(ValueType VARCHAR, ConceptNameCodeSequence {CODE}, ContentSequence {GROUP})[]"
CREATE = f"""
CREATE TABLE dicom (
    SOPInstanceUID VARCHAR, SeriesInstanceUID VARCHAR, PatientID VARCHAR, Modality VARCHAR, StudyDate DATE, EchoTime VARCHAR,
    "Rows" BIGINT, ImageType VARCHAR[], ContentSequence {ROOT}, OtherElements STRUCT(Tag VARCHAR, "Data" VARCHAR[])[],
    LastUpdated TIMESTAMPTZ, Metadata JSON
)
"""


def code(value: str, meaning: str) -> str:
    return f"[{{'CodeValue': '{value}', 'CodingSchemeDesignator': 'DCM', 'CodeMeaning': '{meaning}'}}]"


def item(kind: str, name: str, **values: str) -> str:
    text, uid, coded = (values.get(key, "NULL") for key in ("text", "uid", "coded"))
    return (
        f"{{'ValueType': '{kind}', 'ConceptNameCodeSequence': {name}, 'ConceptCodeSequence': {coded}, "
        f"'TextValue': {text}, 'UID': {uid}}}"
    )


def group(number: int) -> str:
    items = [
        item("TEXT", code("112039", "Tracking Identifier"), text=f"'Lesion {number}'"),
        item("UIDREF", code("112040", "Tracking Unique Identifier"), uid=f"'2.25.{number}'"),
        item("CODE", code("121071", "Finding"), coded=code("4147007", "Mass")),
    ]
    return (
        f"{{'ValueType': 'CONTAINER', 'ConceptNameCodeSequence': {code('125007', 'Measurement Group')}, "
        f"'ContentSequence': [{', '.join(items)}]}}"
    )


REPORT = (
    f"[{{'ValueType': 'CONTAINER', 'ConceptNameCodeSequence': {code('126010', 'Imaging Measurements')}, "
    f"'ContentSequence': [{group(1)}, {group(2)}]}}]"
)
METADATA = '{"00080060": {"vr": "CS", "Value": ["SR"]}, "00080008": {"vr": "CS", "Value": ["A", "B"]}}'


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a structured report and two MR instances, of which one lacks nearly everything."""
    file = tmp_path_factory.mktemp("names") / "scans.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(CREATE)
        connection.execute(
            f"INSERT INTO dicom VALUES ('1.1', '1', 'p', 'SR', '2020-01-02', NULL, NULL, NULL, {REPORT}, "
            f"[{{'Tag': 'Tag_00091002', 'Data': ['x', 'y']}}], '2020-01-02 03:04:05Z', '{METADATA}'), "
            "('2.1', '2', 'q', 'MR', '2020-01-03', '4.5', 512, ['ORIGINAL', 'PRIMARY'], NULL, NULL, '2020-01-03 00:00:00Z', NULL), "
            "('2.1', '2', 'q', 'MR', '2020-01-03', '2.0', 256, NULL, NULL, NULL, '2020-01-04 00:00:00Z', NULL)"
        )
        connection.execute('CREATE SCHEMA imaging; CREATE TABLE imaging.other AS SELECT 1 AS "one"')
    return file


def answer(sql: str, file: Path) -> list[tuple[Any, ...]]:
    return list(run_query(sql, file).rows)


NAMES: list[tuple[str, list[tuple[Any, ...]]]] = [
    # The alias of an UNNEST wins over a column, whatever the case of its letters.
    (
        "SELECT contentSequence.ValueType FROM dicom CROSS JOIN UNNEST(ContentSequence) AS contentSequence",
        [("CONTAINER",)],
    ),
    ("SELECT ContentSequence.ValueType FROM dicom, UNNEST(ContentSequence) AS ContentSequence", [("CONTAINER",)]),
    # The fields of an item are columns too.
    ("SELECT SOPInstanceUID, ValueType FROM dicom, UNNEST(ContentSequence)", [("1.1", "CONTAINER")]),
    ("SELECT Tag FROM dicom d, d.OtherElements", [("Tag_00091002",)]),
    ("SELECT o FROM dicom, UNNEST(OtherElements) o", [({"Tag": "Tag_00091002", "Data": ["x", "y"]},)]),
    ("SELECT o.* FROM dicom, UNNEST(OtherElements) o", [("Tag_00091002", ["x", "y"])]),
    # A name in any case.
    ("SELECT patientid FROM DICOM AS D WHERE d.MODALITY = 'SR'", [("p",)]),
    # WITH OFFSET counts from 0: named or not, through a subquery, through a star.
    (
        "SELECT x, k FROM dicom d, d.OtherElements o, UNNEST(o.Data) AS x WITH OFFSET AS k ORDER BY k",
        [("x", 0), ("y", 1)],
    ),
    ("SELECT x, offset FROM UNNEST(['a', 'b']) AS x WITH OFFSET ORDER BY offset", [("a", 0), ("b", 1)]),
    ("SELECT x FROM (SELECT x, o FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o) WHERE o = 1", [("b",)]),
    ("SELECT * FROM (SELECT * FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o) ORDER BY o", [("a", 0), ("b", 1)]),
    ("SELECT * FROM UNNEST([STRUCT(1 AS a, 'b' AS b)]) WITH OFFSET", [(1, "b", 0)]),
    ("SELECT * FROM UNNEST([STRUCT(1 AS a, [2, 3] AS b)]) AS s, s.b AS c ORDER BY c", [(1, [2, 3], 2), (1, [2, 3], 3)]),
    # A position from a column.
    (
        "SELECT i, ImageType[OFFSET(i)] FROM dicom, UNNEST([0, 1]) AS i WHERE `Rows` = 512 ORDER BY i",
        [(0, "ORIGINAL"), (1, "PRIMARY")],
    ),
    # A REPEATED column is never NULL.
    ("SELECT ImageType, ImageType IS NULL, ARRAY_LENGTH(ImageType) FROM dicom WHERE `Rows` = 256", [([], False, 0)]),
    # Subqueries that see the row outside.
    (
        (
            "SELECT PatientID, EXISTS (SELECT 1 FROM d.OtherElements o WHERE o.Tag = 'Tag_00091002') FROM dicom d "
            "WHERE Modality = 'SR' OR `Rows` = 512 ORDER BY 1"
        ),
        [("p", True), ("q", False)],
    ),
    (
        (
            "SELECT (SELECT COUNT(*) FROM d.OtherElements), (SELECT o.Data[SAFE_OFFSET(1)] FROM UNNEST(OtherElements) o LIMIT 1) "
            "FROM dicom d WHERE PatientID = 'p'"
        ),
        [(1, "y")],
    ),
    (
        (
            "SELECT ARRAY(SELECT AS STRUCT o.Tag, ARRAY_LENGTH(o.Data) AS n FROM UNNEST(OtherElements) o) FROM dicom "
            "WHERE PatientID = 'p'"
        ),
        [([{"Tag": "Tag_00091002", "n": 2}],)],
    ),
    (
        "SELECT d.PatientID, o.Tag FROM dicom d LEFT JOIN d.OtherElements o WHERE d.EchoTime IS NULL",
        [("p", "Tag_00091002")],
    ),
    ("SELECT d.PatientID, o.Tag FROM dicom d LEFT JOIN UNNEST(OtherElements) o WHERE `Rows` = 512", [("q", None)]),
    (
        (
            "SELECT a.SOPInstanceUID, o.Tag FROM dicom a JOIN dicom b ON a.SOPInstanceUID = b.SOPInstanceUID, "
            "UNNEST(b.OtherElements) AS o"
        ),
        [("1.1", "Tag_00091002")],
    ),
    (
        (
            "SELECT o.Tag, b.`Rows` FROM dicom a, a.OtherElements o RIGHT JOIN dicom b ON a.SOPInstanceUID = b.SOPInstanceUID "
            "ORDER BY b.`Rows`"
        ),
        [("Tag_00091002", None), (None, 256), (None, 512)],
    ),
    (
        "SELECT b.PatientID, o.Tag FROM dicom a RIGHT JOIN dicom b ON a.PatientID = b.Modality CROSS JOIN UNNEST(b.OtherElements) o",
        [("p", "Tag_00091002")],
    ),
    # JSON: eight digits are a name.
    (
        (
            "SELECT STRING(Metadata['00080060'].Value[0]), JSON_VALUE(Metadata.`00080060`.Value[0]), "
            "JSON_VALUE(d.Metadata.`00080060`.vr) FROM dicom d WHERE PatientID = 'p'"
        ),
        [("SR", "SR", "CS")],
    ),
    ("SELECT v FROM dicom, UNNEST(JSON_VALUE_ARRAY(Metadata, '$.00080008.Value')) v ORDER BY v", [("A",), ("B",)]),
    # The newest row of each instance.
    (
        (
            "SELECT `Rows` FROM dicom WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY SOPInstanceUID ORDER BY LastUpdated DESC) = 1 "
            "ORDER BY 1"
        ),
        [(None,), (256,)],
    ),
    (
        (
            "SELECT latest.PatientID, latest.`Rows` FROM (SELECT ARRAY_AGG(t ORDER BY LastUpdated DESC LIMIT 1)[OFFSET(0)] AS latest "
            "FROM dicom AS t GROUP BY SOPInstanceUID) ORDER BY 1"
        ),
        [("p", None), ("q", 256)],
    ),
    ("SELECT AS STRUCT 1 AS a, 2 AS b", [(1, 2)]),
    ("SELECT AS VALUE STRUCT(1 AS a, 2 AS b)", [(1, 2)]),
    ("SELECT * EXCEPT (b) REPLACE (a + 1 AS a) FROM (SELECT 1 AS a, 2 AS b)", [(2,)]),
    (
        (
            "SELECT * FROM (SELECT Modality, PatientID, `Rows` FROM dicom) "
            "PIVOT (SUM(`Rows`) AS s, COUNT(*) AS n FOR Modality IN ('MR', 'SR' AS reports)) ORDER BY PatientID"
        ),
        [("p", None, 0, None, 1), ("q", 768, 2, None, 0)],
    ),
    ("SELECT Modality, COUNT(*) FROM dicom GROUP BY ROLLUP (Modality) ORDER BY 1", [(None, 3), ("MR", 2), ("SR", 1)]),
    ("SELECT Modality AS m, COUNT(*) AS n FROM dicom GROUP BY m HAVING n > 1", [("MR", 2)]),
    ("SELECT a.PatientID FROM dicom a JOIN dicom b USING (SOPInstanceUID) WHERE b.Modality = 'SR'", [("p",)]),
    ("WITH dicom AS (SELECT PatientID FROM dicom WHERE Modality = 'SR') SELECT * FROM dicom", [("p",)]),
    ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT SUM(n) FROM r", [(6,)]),
    ("SELECT 1 AS x UNION ALL SELECT 2.5 ORDER BY x DESC", [(2.5,), (1.0,)]),
    ("SELECT x FROM UNNEST([1, NULL, 2]) AS x ORDER BY x", [(None,), (1,), (2,)]),
    ("SELECT x FROM UNNEST([1, NULL, 2]) AS x ORDER BY x DESC", [(2,), (1,), (None,)]),
    ("DECLARE smallest INT64 DEFAULT 300; SELECT `Rows` FROM dicom WHERE `Rows` > smallest", [(512,)]),
    ("FROM dicom |> WHERE `Rows` > 300 |> SELECT PatientID", [("q",)]),
    # Tables as the cloud names them.
    ("SELECT COUNT(*) FROM `my-project.my_dataset.dicom`", [(3,)]),
    ("SELECT COUNT(*) FROM `my-project`.my_dataset.dicom", [(3,)]),
    ("SELECT COUNT(*) FROM my_dataset.dicom AS d WHERE d.PatientID = 'p'", [(1,)]),
    ("SELECT one FROM `my-project.my_dataset.other`", [(1,)]),
    (
        (
            "SELECT column_name, ordinal_position, is_nullable, data_type FROM INFORMATION_SCHEMA.COLUMNS "
            "WHERE table_name = 'dicom' AND column_name IN ('ImageType', 'OtherElements', 'LastUpdated') ORDER BY 2"
        ),
        [
            ("ImageType", 8, "NO", "ARRAY<STRING>"),
            ("OtherElements", 10, "NO", "ARRAY<STRUCT<Tag STRING, Data ARRAY<STRING>>>"),
            ("LastUpdated", 11, "YES", "TIMESTAMP"),
        ],
    ),
    (
        "SELECT table_catalog, table_schema, table_name, table_type FROM main.INFORMATION_SCHEMA.TABLES",
        [("scans", "main", "dicom", "BASE TABLE")],
    ),
    ("SELECT COUNT(*) FROM `my-project.my_dataset.INFORMATION_SCHEMA.TABLES`", [(2,)]),
    (
        (
            "SELECT field_path, data_type FROM `region-us`.INFORMATION_SCHEMA.COLUMN_FIELD_PATHS WHERE column_name = 'OtherElements' "
            "ORDER BY 1"
        ),
        [
            ("OtherElements", "ARRAY<STRUCT<Tag STRING, Data ARRAY<STRING>>>"),
            ("OtherElements.Data", "ARRAY<STRING>"),
            ("OtherElements.Tag", "STRING"),
        ],
    ),
]


@pytest.mark.parametrize(("sql", "expected"), NAMES)
def test_a_name_means_what_it_means_in_bigquery(file: Path, sql: str, expected: list[tuple[Any, ...]]) -> None:
    assert answer(sql, file) == expected


def test_the_groups_of_a_structured_report_are_found_level_by_level(file: Path) -> None:
    sql = """
    WITH
      reports AS (SELECT SOPInstanceUID, ContentSequence FROM `cloud-project.some_dataset.dicom` WHERE ARRAY_LENGTH(ContentSequence) <> 0),
      roots AS (SELECT SOPInstanceUID, contentSequence FROM reports CROSS JOIN UNNEST(ContentSequence) AS contentSequence),
      groups AS (
        SELECT SOPInstanceUID, contentSequence, number
        FROM roots CROSS JOIN UNNEST (contentSequence.ContentSequence) AS contentSequence WITH OFFSET AS number
        WHERE contentSequence.ValueType = "CONTAINER" AND contentSequence.ConceptNameCodeSequence [OFFSET (0)].CodeMeaning = "Measurement Group"),
      names AS (
        SELECT SOPInstanceUID, number, each.TextValue AS name FROM groups CROSS JOIN UNNEST(contentSequence.ContentSequence) AS each
        WHERE each.ConceptNameCodeSequence[OFFSET(0)].CodeValue = "112039"),
      findings AS (
        SELECT SOPInstanceUID, number, each.ConceptCodeSequence [OFFSET (0)] AS finding
        FROM groups CROSS JOIN UNNEST(contentSequence.ContentSequence) AS each WHERE each.ValueType = "CODE")
    SELECT names.number, name, finding.CodeMeaning,
    FROM names JOIN findings ON names.SOPInstanceUID = findings.SOPInstanceUID AND names.number = findings.number
    ORDER BY names.number
    """
    assert answer(sql, file) == [(0, "Lesion 1", "Mass"), (1, "Lesion 2", "Mass")]


def test_a_series_index_has_one_row_per_series(file: Path) -> None:
    sql = """
    WITH mr AS (
      SELECT
        SeriesInstanceUID,
        ARRAY_AGG(DISTINCT SAFE_CAST(EchoTime AS FLOAT64) IGNORE NULLS ORDER BY SAFE_CAST(EchoTime AS FLOAT64)) AS EchoTime,
        ANY_VALUE(ImageType[SAFE_OFFSET(0)]) AS kind,
        MAX(DISTINCT(`Rows`)) AS max_rows,
        STRING_AGG(DISTINCT(Modality), ",") AS modalities,
        COUNT(DISTINCT (SOPInstanceUID)) total,
        ANY_VALUE(SAFE_CAST(StudyDate AS STRING)) AS StudyDate,
      FROM dicom WHERE Modality = 'MR' GROUP BY SeriesInstanceUID)
    SELECT * FROM mr ORDER BY EchoTime[SAFE_OFFSET(0)] NULLS LAST, SeriesInstanceUID
    """
    assert answer(sql, file) == [("2", [2.0, 4.5], "ORIGINAL", 512, "MR", 1, "2020-01-03")]


def test_a_row_becomes_json_however_deep_its_sequences(file: Path) -> None:
    [(row,)] = answer("SELECT TO_JSON_STRING(t) FROM dicom AS t WHERE PatientID = 'p'", file)
    found = json.loads(row)
    assert found["LastUpdated"] == "2020-01-02T03:04:05Z"
    assert found["ImageType"] == []
    assert found["OtherElements"] == [{"Tag": "Tag_00091002", "Data": ["x", "y"]}]
    groups = found["ContentSequence"][0]["ContentSequence"]
    assert [each["ContentSequence"][0]["TextValue"] for each in groups] == ["Lesion 1", "Lesion 2"]
    assert groups[0]["ContentSequence"][0]["ConceptCodeSequence"] == []


REFUSALS = [
    ("SELECT ST_GEOGPOINT(1, 2)", "The function ST_GEOGPOINT is not supported .*--dialect duckdb"),
    ("SELECT LENGHT('x')", "did you mean LENGTH"),
    ("SELECT NET.HOST('x')", "NET.HOST is not supported"),
    ("SELECT list_sort([1])", "The function LIST_SORT is not supported"),
    ("SELECT * FROM dicom TABLESAMPLE SYSTEM (10 PERCENT)", "TABLESAMPLE is not supported"),
    ("SELECT * FROM dicom FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", "FOR SYSTEM_TIME AS OF is not supported"),
    ("SELECT * FROM generate_series(1, 2)", "The table function generate_series is not supported"),
    ("SELECT CAST('2020' AS DATE FORMAT 'YYYY')", "CAST … FORMAT is not supported"),
    ("SELECT CAST(1 AS BIGNUMERIC)", "The type BIGNUMERIC is not supported"),
    ("SELECT PatientID ILIKE 'P' FROM dicom", "ILike .* is not supported"),
    ("SELECT Modalty FROM dicom", r"Column Modalty was not found \(line 1, column 8\). Did you mean Modality"),
    ("SELECT d.Modalty FROM dicom d", "Modalty.*[Dd]id you mean Modality"),
    ("SELECT ContentSequence.ValueType FROM dicom", r"take one item with \[SAFE_OFFSET\(0\)\], or use UNNEST"),
    ("SELECT PatientID FROM dicom a, dicom b", "PatientID .*ambiguous"),
    ("SELECT * FROM UNNEST(5)", "UNNEST takes an ARRAY, not INT64"),
    ("SELECT PatientID = 5 FROM dicom", "= cannot take STRING and INT64 .*use CAST"),
    ("SELECT SUM(PatientID) FROM dicom", r"SUM\(STRING\) .*has the wrong arguments: expected SUM\(INT64\)"),
    ("SELECT * FROM INFORMATION_SCHEMA.NOPE", "INFORMATION_SCHEMA.NOPE was not found"),
    ("SELECT DATE_ADD(DATE '9999-12-31', INTERVAL 1 DAY)", "before year 1 or after year 9999"),
    ("SELECT ImageType[OFFSET(5)] FROM dicom", "SAFE_OFFSET gives NULL instead"),
    ("SELECT ERROR('no such series')", "no such series"),
]


@pytest.mark.parametrize(("sql", "message"), REFUSALS)
def test_what_cannot_be_answered_is_refused_with_what_to_do(file: Path, sql: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        answer(sql, file)


def test_a_value_is_in_no_error(file: Path) -> None:
    for sql in (
        "SELECT CAST(EchoTime AS INT64) FROM dicom",
        "SELECT ERROR(EchoTime) FROM dicom WHERE EchoTime = '4.5'",
    ):
        with pytest.raises(InvalidArgument) as caught:
            answer(sql, file)
        assert "4.5" not in str(caught.value)


def test_duckdb_runs_its_own_sql_unchanged(file: Path) -> None:
    assert list(run_query("SELECT 7 // 2, list_sort([2, 1])", file, dialect="duckdb").rows) == [(3, [1, 2])]


@pytest.mark.parametrize("sql", ["DROP TABLE dicom", "SELECT 1; SELECT 2", "COPY dicom TO 'x.csv'", "SET threads = 1"])
def test_duckdbs_sql_changes_nothing(file: Path, sql: str) -> None:
    with pytest.raises(InvalidArgument, match="Only one SELECT"):
        run_query(sql, file, dialect="duckdb")


def test_duckdbs_sql_reads_no_other_file(file: Path) -> None:
    with pytest.raises(InvalidArgument, match="A query can read only"):
        list(run_query("SELECT * FROM read_csv('/etc/passwd')", file, dialect="duckdb").rows)
