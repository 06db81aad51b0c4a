"""Every function that a query may use, with its types and what it is in DuckDB.

A line of a table is `NAME(parameters) -> result: DuckDB's SQL`. `{1}` is the first argument. Parameters are types, or:

* `T`: any type, the same in each place; `ARRAY<T>`: an array of it; `T...`: one or more; `ANY`: any type.
* `ZONE`: a time zone that is written in the query, as Asia/Seoul or +09:00; `PART`: as DAY or WEEK(MONDAY).
* `NUMBER`: INT64, NUMERIC or FLOAT64; `STRING!`: a text that is written in the query.

`FAIL('…')` ends the query with an error, or is NULL in `SAFE.NAME(…)`; `CAST?` is then TRY_CAST. `@name` names a Python
function instead. An aggregate function says where DISTINCT, ORDER BY and the window go with `{d}`, `{o}` and `{w}`.
"""
