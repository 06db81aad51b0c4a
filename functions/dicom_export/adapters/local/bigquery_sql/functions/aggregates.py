"""Aggregate and window functions."""

AGGREGATES = r"""
ANY_VALUE(T) -> T: any_value({1}){w}
ARRAY_CONCAT_AGG(ARRAY<T>) -> ARRAY<T>: flatten(list({1}{o}){w})
AVG(INT64) -> FLOAT64: avg({d}{1}){w}
AVG(NUMERIC) -> NUMERIC: CAST(avg({d}{1}){w} AS DECIMAL(38, 9))
AVG(FLOAT64) -> FLOAT64: avg({d}{1}){w}
BIT_AND(INT64) -> INT64: bit_and({d}{1}){w}
BIT_OR(INT64) -> INT64: bit_or({d}{1}){w}
BIT_XOR(INT64) -> INT64: bit_xor({d}{1}){w}
COUNT(ANY) -> INT64: count({d}{1}){w}
LOGICAL_AND(BOOL) -> BOOL: bool_and({1}){w}
LOGICAL_OR(BOOL) -> BOOL: bool_or({1}){w}
MAX(T) -> T: max({1}){w}
MIN(T) -> T: min({1}){w}
MAX_BY(T, ANY) -> T: arg_max({1}, {2}){w}
MIN_BY(T, ANY) -> T: arg_min({1}, {2}){w}
SUM(INT64) -> INT64: CAST(sum({d}{1}){w} AS BIGINT)
SUM(NUMERIC) -> NUMERIC: CAST(sum({d}{1}){w} AS DECIMAL(38, 9))
SUM(FLOAT64) -> FLOAT64: sum({d}{1}){w}
APPROX_COUNT_DISTINCT(ANY) -> INT64: count(DISTINCT {1}){w}
APPROX_QUANTILES(T, INT64!) -> ARRAY<T>: @approximate_quantiles
APPROX_TOP_COUNT(T, INT64!) -> ARRAY<STRUCT<value T, count INT64>>: @approximate_top_count
CORR(FLOAT64, FLOAT64) -> FLOAT64: corr({1}, {2}){w}
COVAR_POP(FLOAT64, FLOAT64) -> FLOAT64: covar_pop({1}, {2}){w}
COVAR_SAMP(FLOAT64, FLOAT64) -> FLOAT64: covar_samp({1}, {2}){w}
STDDEV(FLOAT64) -> FLOAT64: stddev_samp({d}{1}){w}
STDDEV_POP(FLOAT64) -> FLOAT64: stddev_pop({d}{1}){w}
STDDEV_SAMP(FLOAT64) -> FLOAT64: stddev_samp({d}{1}){w}
VAR_POP(FLOAT64) -> FLOAT64: var_pop({d}{1}){w}
VAR_SAMP(FLOAT64) -> FLOAT64: var_samp({d}{1}){w}
VARIANCE(FLOAT64) -> FLOAT64: var_samp({d}{1}){w}
GROUPING(ANY) -> INT64: CAST(grouping({1}) AS BIGINT)
"""

WINDOWS = r"""
CUME_DIST() -> FLOAT64: cume_dist(){w}
DENSE_RANK() -> INT64: dense_rank(){w}
NTILE(INT64) -> INT64: ntile({1}){w}
PERCENT_RANK() -> FLOAT64: percent_rank(){w}
RANK() -> INT64: rank(){w}
ROW_NUMBER() -> INT64: row_number(){w}
FIRST_VALUE(T) -> T: first_value({1}{n}){w}
LAST_VALUE(T) -> T: last_value({1}{n}){w}
NTH_VALUE(T, INT64!) -> T: nth_value({1}, {2}{n}){w}
LAG(T) -> T: lag({1}){w}
LAG(T, INT64!) -> T: lag({1}, {2}){w}
LAG(T, INT64!, T) -> T: lag({1}, {2}, {3}){w}
LEAD(T) -> T: lead({1}){w}
LEAD(T, INT64!) -> T: lead({1}, {2}){w}
LEAD(T, INT64!, T) -> T: lead({1}, {2}, {3}){w}
PERCENTILE_CONT(FLOAT64, FLOAT64!) -> FLOAT64: quantile_cont({1}, {2}){w}
PERCENTILE_DISC(T, FLOAT64!) -> T: quantile_disc({1}, {2}){w}
"""
