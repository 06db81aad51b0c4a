"""Mathematical and conditional functions, and arrays."""

NUMBERS = r"""
ABS(INT64) -> INT64: abs({1})
ABS(NUMERIC) -> NUMERIC: abs({1})
ABS(FLOAT64) -> FLOAT64: abs({1})
SIGN(INT64) -> INT64: CAST(sign({1}) AS BIGINT)
SIGN(NUMERIC) -> NUMERIC: CAST(sign({1}) AS DECIMAL(38, 9))
SIGN(FLOAT64) -> FLOAT64: CAST(sign({1}) AS DOUBLE)
IS_INF(FLOAT64) -> BOOL: isinf({1})
IS_NAN(FLOAT64) -> BOOL: isnan({1})
IEEE_DIVIDE(FLOAT64, FLOAT64) -> FLOAT64: CASE WHEN {2} <> 0 THEN {1} / {2} WHEN {1} = 0 OR isnan({1}) THEN CAST('nan' AS DOUBLE) WHEN {2} = 0 THEN CAST('inf' AS DOUBLE) * sign({1}) END
SAFE_DIVIDE(INT64, INT64) -> FLOAT64: CASE WHEN {2} <> 0 THEN {1} / {2} END
SAFE_DIVIDE(NUMERIC, NUMERIC) -> NUMERIC: CASE WHEN {2} <> 0 THEN TRY_CAST(round({1} / {2}, 9) AS DECIMAL(38, 9)) END
SAFE_DIVIDE(FLOAT64, FLOAT64) -> FLOAT64: CASE WHEN {2} <> 0 THEN {1} / {2} END
SAFE_ADD(INT64, INT64) -> INT64: TRY_CAST(CAST({1} AS HUGEINT) + {2} AS BIGINT)
SAFE_ADD(FLOAT64, FLOAT64) -> FLOAT64: {1} + {2}
SAFE_SUBTRACT(INT64, INT64) -> INT64: TRY_CAST(CAST({1} AS HUGEINT) - {2} AS BIGINT)
SAFE_SUBTRACT(FLOAT64, FLOAT64) -> FLOAT64: {1} - {2}
SAFE_MULTIPLY(INT64, INT64) -> INT64: TRY_CAST(CAST({1} AS HUGEINT) * {2} AS BIGINT)
SAFE_MULTIPLY(FLOAT64, FLOAT64) -> FLOAT64: {1} * {2}
SAFE_NEGATE(INT64) -> INT64: TRY_CAST(-CAST({1} AS HUGEINT) AS BIGINT)
SAFE_NEGATE(FLOAT64) -> FLOAT64: -({1})
DIV(INT64, INT64) -> INT64: CASE WHEN {2} = 0 THEN FAIL('Division by zero in DIV: SAFE.DIV gives NULL instead') ELSE {1} // {2} END
MOD(INT64, INT64) -> INT64: CASE WHEN {2} = 0 THEN FAIL('Division by zero in MOD: SAFE.MOD gives NULL instead') ELSE {1} % {2} END
MOD(NUMERIC, NUMERIC) -> NUMERIC: CASE WHEN {2} = 0 THEN FAIL('Division by zero in MOD: SAFE.MOD gives NULL instead') ELSE CAST({1} % {2} AS DECIMAL(38, 9)) END
ROUND(INT64) -> FLOAT64: round(CAST({1} AS DOUBLE))
ROUND(INT64, INT64) -> FLOAT64: round(CAST({1} AS DOUBLE), CAST({2} AS INTEGER))
ROUND(NUMERIC) -> NUMERIC: CAST(round({1}) AS DECIMAL(38, 9))
ROUND(NUMERIC, INT64) -> NUMERIC: CAST(round({1}, CAST({2} AS INTEGER)) AS DECIMAL(38, 9))
ROUND(FLOAT64) -> FLOAT64: round({1})
ROUND(FLOAT64, INT64) -> FLOAT64: round({1}, CAST({2} AS INTEGER))
TRUNC(FLOAT64) -> FLOAT64: trunc({1})
TRUNC(FLOAT64, INT64) -> FLOAT64: trunc({1} * pow(10, {2})) / pow(10, {2})
CEIL(INT64) -> FLOAT64: CAST({1} AS DOUBLE)
CEIL(NUMERIC) -> NUMERIC: CAST(ceil({1}) AS DECIMAL(38, 9))
CEIL(FLOAT64) -> FLOAT64: ceil({1})
CEILING(FLOAT64) -> FLOAT64: ceil({1})
FLOOR(INT64) -> FLOAT64: CAST({1} AS DOUBLE)
FLOOR(NUMERIC) -> NUMERIC: CAST(floor({1}) AS DECIMAL(38, 9))
FLOOR(FLOAT64) -> FLOAT64: floor({1})
POW(FLOAT64, FLOAT64) -> FLOAT64: CASE WHEN ({1} = 0 AND {2} < 0) OR ({1} < 0 AND isfinite({1}) AND isfinite({2}) AND {2} <> trunc({2})) THEN FAIL('POW is not defined for these numbers: SAFE.POW gives NULL instead') ELSE pow({1}, {2}) END
POWER(FLOAT64, FLOAT64) -> FLOAT64: CASE WHEN ({1} = 0 AND {2} < 0) OR ({1} < 0 AND isfinite({1}) AND isfinite({2}) AND {2} <> trunc({2})) THEN FAIL('POWER is not defined for these numbers: SAFE.POWER gives NULL instead') ELSE pow({1}, {2}) END
SQRT(FLOAT64) -> FLOAT64: CASE WHEN {1} < 0 THEN FAIL('SQRT takes no negative number: SAFE.SQRT gives NULL instead') ELSE sqrt({1}) END
CBRT(FLOAT64) -> FLOAT64: cbrt({1})
EXP(FLOAT64) -> FLOAT64: exp({1})
LN(FLOAT64) -> FLOAT64: CASE WHEN {1} <= 0 THEN FAIL('LN takes a positive number: SAFE.LN gives NULL instead') ELSE ln({1}) END
LOG(FLOAT64) -> FLOAT64: CASE WHEN {1} <= 0 THEN FAIL('LOG takes a positive number: SAFE.LOG gives NULL instead') ELSE ln({1}) END
LOG(FLOAT64, FLOAT64) -> FLOAT64: CASE WHEN {1} <= 0 OR {2} <= 0 OR {2} = 1 THEN FAIL('LOG takes a positive number, and a positive base that is not 1: SAFE.LOG gives NULL instead') ELSE ln({1}) / ln({2}) END
LOG10(FLOAT64) -> FLOAT64: CASE WHEN {1} <= 0 THEN FAIL('LOG10 takes a positive number: SAFE.LOG10 gives NULL instead') ELSE log10({1}) END
GREATEST(T...) -> T: @greatest
LEAST(T...) -> T: @least
RAND() -> FLOAT64: random()
SIN(FLOAT64) -> FLOAT64: sin({1})
COS(FLOAT64) -> FLOAT64: cos({1})
TAN(FLOAT64) -> FLOAT64: tan({1})
COT(FLOAT64) -> FLOAT64: CASE WHEN {1} = 0 THEN FAIL('COT of zero: SAFE.COT gives NULL instead') ELSE cot({1}) END
ASIN(FLOAT64) -> FLOAT64: CASE WHEN abs({1}) > 1 THEN FAIL('ASIN takes a number from -1 to 1: SAFE.ASIN gives NULL instead') ELSE asin({1}) END
ACOS(FLOAT64) -> FLOAT64: CASE WHEN abs({1}) > 1 THEN FAIL('ACOS takes a number from -1 to 1: SAFE.ACOS gives NULL instead') ELSE acos({1}) END
ATAN(FLOAT64) -> FLOAT64: atan({1})
ATAN2(FLOAT64, FLOAT64) -> FLOAT64: atan2({1}, {2})
SINH(FLOAT64) -> FLOAT64: sinh({1})
COSH(FLOAT64) -> FLOAT64: cosh({1})
TANH(FLOAT64) -> FLOAT64: tanh({1})
BIT_COUNT(INT64) -> INT64: CAST(bit_count({1}) AS BIGINT)
RANGE_BUCKET(T, ARRAY<T>) -> INT64: CASE WHEN {1} IS NOT NULL THEN len(list_filter({2}, lambda bound: bound <= {1})) END
COALESCE(T...) -> T: coalesce({*})
IFNULL(T, T) -> T: coalesce({*})
NULLIF(T, T) -> T: nullif({*})
ERROR(STRING) -> ANY: @raise_error
"""

ARRAYS = r"""
ARRAY_LENGTH(ARRAY<T>) -> INT64: len({1})
ARRAY_CONCAT(ARRAY<T>...) -> ARRAY<T>: @concatenate_arrays
ARRAY_REVERSE(ARRAY<T>) -> ARRAY<T>: list_reverse({1})
ARRAY_FIRST(ARRAY<T>) -> T: CASE WHEN len({1}) = 0 THEN FAIL('ARRAY_FIRST of an empty array: use [SAFE_OFFSET(0)]') ELSE list_extract({1}, 1) END
ARRAY_LAST(ARRAY<T>) -> T: CASE WHEN len({1}) = 0 THEN FAIL('ARRAY_LAST of an empty array: use SAFE.ARRAY_LAST') ELSE list_extract({1}, -1) END
ARRAY_SLICE(ARRAY<T>, INT64, INT64) -> ARRAY<T>: list_slice({1}, CASE WHEN {2} >= 0 THEN {2} + 1 ELSE greatest(len({1}) + {2} + 1, 1) END, CASE WHEN {3} >= 0 THEN {3} + 1 ELSE len({1}) + {3} + 1 END)
ARRAY_TO_STRING(ARRAY<STRING>, STRING) -> STRING: array_to_string(list_filter({1}, lambda each: each IS NOT NULL), {2})
ARRAY_TO_STRING(ARRAY<STRING>, STRING, STRING) -> STRING: array_to_string(list_transform({1}, lambda each: coalesce(each, {3})), {2})
GENERATE_ARRAY(INT64, INT64) -> ARRAY<INT64>: CASE WHEN {1} IS NOT NULL AND {2} IS NOT NULL THEN generate_series({1}, {2}) END
GENERATE_ARRAY(INT64, INT64, INT64) -> ARRAY<INT64>: CASE WHEN {3} = 0 THEN FAIL('GENERATE_ARRAY takes a step other than 0') WHEN {1} IS NOT NULL AND {2} IS NOT NULL AND {3} IS NOT NULL THEN generate_series({1}, {2}, {3}) END
GENERATE_ARRAY(FLOAT64, FLOAT64, FLOAT64) -> ARRAY<FLOAT64>: CASE WHEN {3} = 0 THEN FAIL('GENERATE_ARRAY takes a step other than 0') WHEN {1} IS NOT NULL AND {2} IS NOT NULL AND {3} IS NOT NULL THEN list_transform(generate_series(0, CAST(floor(({2} - {1}) / {3}) AS BIGINT)), lambda n: {1} + n * {3}) END
GENERATE_DATE_ARRAY(DATE, DATE) -> ARRAY<DATE>: list_transform(generate_series({1}, {2}, INTERVAL 1 DAY), lambda d: CAST(d AS DATE))
GENERATE_DATE_ARRAY(DATE, DATE, INTERVAL) -> ARRAY<DATE>: list_transform(generate_series({1}, {2}, {3}), lambda d: CAST(d AS DATE))
GENERATE_TIMESTAMP_ARRAY(TIMESTAMP, TIMESTAMP, INTERVAL) -> ARRAY<TIMESTAMP>: generate_series({1}, {2}, {3})
"""
