"""What the views need of SQL and BigQuery and DuckDB write differently."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Dialect(ABC):
    """SQL expressions from SQL expressions. `path` arguments are JSONPath."""

    @abstractmethod
    def name(self, text: str) -> str:
        """Return the name of a column, quoted."""

    @abstractmethod
    def text(self, text: str) -> str:
        """Return the text as a literal."""

    @abstractmethod
    def element(self, array: str, position: int) -> str:
        """Return the element at a position from 0 of an array, or NULL if there is none."""

    @abstractmethod
    def distinct(self, value: str) -> str:
        """Return the aggregate of the different values, sorted, as an array."""

    @abstractmethod
    def json_text(self, json: str, path: str) -> str:
        """Return the text of a scalar in JSON, or NULL."""

    @abstractmethod
    def json_texts(self, json: str, path: str) -> str:
        """Return the texts of an array of scalars in JSON."""

    @abstractmethod
    def json_keys(self, json: str) -> str:
        """Return the keys of an object in JSON as an array."""

    @abstractmethod
    def json_member(self, json: str, key: str) -> str:
        """Return the member of an object in JSON whose key is the value of an expression."""

    @abstractmethod
    def date(self, text: str) -> str:
        """Return the date of a DA value, or NULL if it is not a date."""

    @abstractmethod
    def split(self, text: str, separator: str) -> str:
        """Return the parts of a text as an array."""

    @abstractmethod
    def unnest(self, array: str, alias: str) -> str:
        """Return the elements of an array as a table to join, each with the name `alias`."""


class GoogleSql(Dialect):
    """GoogleSQL, as BigQuery runs it.

    Source: https://cloud.google.com/bigquery/docs/reference/standard-sql
    """

    def name(self, text: str) -> str:
        return f"`{text}`"

    def text(self, text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t")
        return f"'{escaped}'"

    def element(self, array: str, position: int) -> str:
        return f"{array}[SAFE_OFFSET({position})]"

    def distinct(self, value: str) -> str:
        return f"ARRAY_AGG(DISTINCT {value} IGNORE NULLS ORDER BY {value})"

    def json_text(self, json: str, path: str) -> str:
        return f"JSON_VALUE({json}, {self.text(path)})"

    def json_texts(self, json: str, path: str) -> str:
        return f"JSON_VALUE_ARRAY({json}, {self.text(path)})"

    def json_keys(self, json: str) -> str:
        return f"JSON_KEYS({json}, 1)"

    def json_member(self, json: str, key: str) -> str:
        return f"{json}[{key}]"

    def date(self, text: str) -> str:
        return f"SAFE.PARSE_DATE('%Y%m%d', {text})"

    def split(self, text: str, separator: str) -> str:
        return f"SPLIT({text}, {self.text(separator)})"

    def unnest(self, array: str, alias: str) -> str:
        return f"UNNEST({array}) AS {alias}"


class DuckDbSql(Dialect):
    """DuckDB's SQL, without any function of this project: other programs open the file too.

    Source: https://duckdb.org/docs/stable/sql/introduction
    """

    def name(self, text: str) -> str:
        return '"{}"'.format(text.replace('"', '""'))

    def text(self, text: str) -> str:
        return "'{}'".format(text.replace("'", "''"))

    def element(self, array: str, position: int) -> str:
        return f"{array}[{position + 1}]"

    def distinct(self, value: str) -> str:
        return f"list(DISTINCT {value} ORDER BY {value}) FILTER ({value} IS NOT NULL)"

    def json_text(self, json: str, path: str) -> str:
        return f"({json} ->> {self.text(path)})"

    def json_texts(self, json: str, path: str) -> str:
        return f"({json} ->> {self.text(path + '[*]')})"

    def json_keys(self, json: str) -> str:
        return f"json_keys({json})"

    def json_member(self, json: str, key: str) -> str:
        return f"({json} -> {key})"

    def date(self, text: str) -> str:
        return f"CAST(try_strptime({text}, '%Y%m%d') AS DATE)"

    def split(self, text: str, separator: str) -> str:
        return f"string_split({text}, {self.text(separator)})"

    def unnest(self, array: str, alias: str) -> str:
        return f"UNNEST({array}) AS {alias}_({alias})"
