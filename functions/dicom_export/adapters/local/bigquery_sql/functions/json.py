"""JSON functions."""

JSON = r"""
JSON_VALUE(JSON) -> STRING: @json_scalar
JSON_VALUE(JSON, STRING!) -> STRING: @json_scalar
JSON_VALUE(STRING) -> STRING: @json_scalar
JSON_VALUE(STRING, STRING!) -> STRING: @json_scalar
JSON_EXTRACT_SCALAR(JSON) -> STRING: @json_scalar
JSON_EXTRACT_SCALAR(JSON, STRING!) -> STRING: @json_scalar
JSON_EXTRACT_SCALAR(STRING) -> STRING: @json_scalar
JSON_EXTRACT_SCALAR(STRING, STRING!) -> STRING: @json_scalar
JSON_QUERY(JSON) -> JSON: @json_part
JSON_QUERY(JSON, STRING!) -> JSON: @json_part
JSON_QUERY(STRING) -> STRING: @json_part
JSON_QUERY(STRING, STRING!) -> STRING: @json_part
JSON_EXTRACT(JSON) -> JSON: @json_part
JSON_EXTRACT(JSON, STRING!) -> JSON: @json_part
JSON_EXTRACT(STRING) -> STRING: @json_part
JSON_EXTRACT(STRING, STRING!) -> STRING: @json_part
JSON_QUERY_ARRAY(JSON) -> ARRAY<JSON>: @json_items
JSON_QUERY_ARRAY(JSON, STRING!) -> ARRAY<JSON>: @json_items
JSON_QUERY_ARRAY(STRING) -> ARRAY<STRING>: @json_items
JSON_QUERY_ARRAY(STRING, STRING!) -> ARRAY<STRING>: @json_items
JSON_EXTRACT_ARRAY(JSON) -> ARRAY<JSON>: @json_items
JSON_EXTRACT_ARRAY(JSON, STRING!) -> ARRAY<JSON>: @json_items
JSON_EXTRACT_ARRAY(STRING) -> ARRAY<STRING>: @json_items
JSON_EXTRACT_ARRAY(STRING, STRING!) -> ARRAY<STRING>: @json_items
JSON_VALUE_ARRAY(JSON) -> ARRAY<STRING>: @json_scalars
JSON_VALUE_ARRAY(JSON, STRING!) -> ARRAY<STRING>: @json_scalars
JSON_VALUE_ARRAY(STRING) -> ARRAY<STRING>: @json_scalars
JSON_VALUE_ARRAY(STRING, STRING!) -> ARRAY<STRING>: @json_scalars
JSON_EXTRACT_STRING_ARRAY(JSON) -> ARRAY<STRING>: @json_scalars
JSON_EXTRACT_STRING_ARRAY(JSON, STRING!) -> ARRAY<STRING>: @json_scalars
JSON_EXTRACT_STRING_ARRAY(STRING) -> ARRAY<STRING>: @json_scalars
JSON_EXTRACT_STRING_ARRAY(STRING, STRING!) -> ARRAY<STRING>: @json_scalars
JSON_TYPE(JSON) -> STRING: CASE json_type({1}) WHEN 'VARCHAR' THEN 'string' WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' WHEN NULL THEN NULL ELSE CASE WHEN {1} IS NOT NULL THEN 'number' END END
JSON_KEYS(JSON, INT64!) -> ARRAY<STRING>: @json_keys
PARSE_JSON(STRING) -> JSON: CASE WHEN {1} IS NULL THEN NULL WHEN json_valid({1}) THEN json({1}) ELSE FAIL('PARSE_JSON takes JSON: SAFE.PARSE_JSON gives NULL instead') END
TO_JSON(ANY) -> JSON: @to_json
TO_JSON_STRING(ANY) -> STRING: @to_json_text
BOOL(JSON) -> BOOL: CASE WHEN json_type({1}) = 'BOOLEAN' THEN CAST({1} AS VARCHAR) = 'true' WHEN {1} IS NOT NULL THEN FAIL('BOOL takes a JSON boolean: LAX_BOOL converts other values') END
STRING(JSON) -> STRING: CASE WHEN json_type({1}) = 'VARCHAR' THEN json_extract_string({1}, '$') WHEN {1} IS NOT NULL THEN FAIL('STRING takes a JSON string: LAX_STRING converts other values') END
INT64(JSON) -> INT64: CASE WHEN json_type({1}) IN ('BIGINT', 'UBIGINT', 'DOUBLE') AND CAST(CAST({1} AS VARCHAR) AS DOUBLE) = trunc(CAST(CAST({1} AS VARCHAR) AS DOUBLE)) THEN CASE WHEN json_type({1}) = 'DOUBLE' THEN CAST?(CAST(CAST({1} AS VARCHAR) AS DOUBLE) AS BIGINT) ELSE CAST?(CAST({1} AS VARCHAR) AS BIGINT) END WHEN {1} IS NOT NULL THEN FAIL('INT64 takes a JSON number without fraction: LAX_INT64 converts other values') END
FLOAT64(JSON) -> FLOAT64: CASE WHEN json_type({1}) IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN CAST(CAST({1} AS VARCHAR) AS DOUBLE) WHEN {1} IS NOT NULL THEN FAIL('FLOAT64 takes a JSON number: LAX_FLOAT64 converts other values') END
LAX_BOOL(JSON) -> BOOL: CASE json_type({1}) WHEN 'BOOLEAN' THEN CAST({1} AS VARCHAR) = 'true' WHEN 'VARCHAR' THEN CASE lower(json_extract_string({1}, '$')) WHEN 'true' THEN true WHEN 'false' THEN false END WHEN 'BIGINT' THEN CAST({1} AS VARCHAR) <> '0' WHEN 'UBIGINT' THEN CAST({1} AS VARCHAR) <> '0' WHEN 'DOUBLE' THEN CAST(CAST({1} AS VARCHAR) AS DOUBLE) <> 0 END
LAX_STRING(JSON) -> STRING: @json_lax_text
LAX_INT64(JSON) -> INT64: CASE WHEN json_type({1}) = 'BOOLEAN' THEN CASE CAST({1} AS VARCHAR) WHEN 'true' THEN 1 ELSE 0 END WHEN json_type({1}) IN ('BIGINT', 'UBIGINT') THEN TRY_CAST(CAST({1} AS VARCHAR) AS BIGINT) WHEN json_type({1}) IN ('DOUBLE', 'VARCHAR') THEN CASE WHEN regexp_full_match(trim(json_extract_string({1}, '$')), '[+-]?[0-9]+') THEN TRY_CAST(trim(json_extract_string({1}, '$')) AS BIGINT) WHEN regexp_full_match(trim(json_extract_string({1}, '$')), '[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?') THEN TRY_CAST(round(TRY_CAST(trim(json_extract_string({1}, '$')) AS DOUBLE)) AS BIGINT) END END
LAX_FLOAT64(JSON) -> FLOAT64: CASE WHEN json_type({1}) IN ('BIGINT', 'UBIGINT', 'DOUBLE', 'VARCHAR') AND regexp_full_match(trim(json_extract_string({1}, '$')), '(?i)[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|infinity|nan)') THEN TRY_CAST(trim(json_extract_string({1}, '$')) AS DOUBLE) END
"""
