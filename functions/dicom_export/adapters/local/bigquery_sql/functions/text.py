"""Text functions."""

TEXT = r"""
ASCII(STRING) -> INT64: CASE WHEN {1} = '' THEN 0 WHEN unicode({1}) < 128 THEN CAST(unicode({1}) AS BIGINT) WHEN {1} IS NOT NULL THEN FAIL('ASCII takes text that begins with an ASCII character') END
BYTE_LENGTH(STRING) -> INT64: strlen({1})
BYTE_LENGTH(BYTES) -> INT64: octet_length({1})
CHAR_LENGTH(STRING) -> INT64: length({1})
CHARACTER_LENGTH(STRING) -> INT64: length({1})
LENGTH(STRING) -> INT64: length({1})
LENGTH(BYTES) -> INT64: octet_length({1})
OCTET_LENGTH(STRING) -> INT64: strlen({1})
OCTET_LENGTH(BYTES) -> INT64: octet_length({1})
CHR(INT64) -> STRING: CASE WHEN {1} = 0 THEN '' WHEN {1} NOT BETWEEN 0 AND 1114111 OR {1} BETWEEN 55296 AND 57343 THEN FAIL('CHR takes a Unicode code point') ELSE chr(CAST({1} AS INTEGER)) END
CODE_POINTS_TO_STRING(ARRAY<INT64>) -> STRING: array_to_string(list_transform({1}, lambda c: chr(CAST(c AS INTEGER))), '')
TO_CODE_POINTS(STRING) -> ARRAY<INT64>: CASE WHEN {1} = '' THEN [] ELSE list_transform(range(1, length({1}) + 1), lambda i: CAST(unicode(substring({1}, i, 1)) AS BIGINT)) END
CONCAT(ANY...) -> STRING: @concatenate
CONTAINS_SUBSTR(STRING, STRING!) -> BOOL: contains(lower(nfc_normalize({1})), lower(nfc_normalize({2})))
EDIT_DISTANCE(STRING, STRING) -> INT64: levenshtein({1}, {2})
ENDS_WITH(STRING, STRING) -> BOOL: ends_with({1}, {2})
STARTS_WITH(STRING, STRING) -> BOOL: starts_with({1}, {2})
FORMAT(STRING!, ANY...) -> STRING: @format_text
FORMAT(STRING!) -> STRING: @format_text
FROM_BASE64(STRING) -> BYTES: from_base64({1})
TO_BASE64(BYTES) -> STRING: to_base64({1})
FROM_HEX(STRING) -> BYTES: CASE WHEN {1} IS NULL OR regexp_full_match({1}, '[0-9a-fA-F]*') THEN unhex(CASE WHEN length({1}) % 2 = 1 THEN '0' || {1} ELSE {1} END) ELSE FAIL('FROM_HEX takes hexadecimal digits') END
TO_HEX(BYTES) -> STRING: lower(hex({1}))
INITCAP(STRING) -> STRING: array_to_string(list_transform(regexp_extract_all({1}, '[^\s\[\](){}/|!?@"^#$&~_,.:;*%+-]+|[\s\[\](){}/|!?@"^#$&~_,.:;*%+-]+'), lambda w: upper(w[1]) || lower(w[2:])), '')
INSTR(STRING, STRING) -> INT64: CASE WHEN {2} = '' THEN 0 ELSE instr({1}, {2}) END
INSTR(STRING, STRING, INT64) -> INT64: @position_of_text
INSTR(STRING, STRING, INT64, INT64) -> INT64: @position_of_text
STRPOS(STRING, STRING) -> INT64: instr({1}, {2})
LEFT(STRING, INT64) -> STRING: CASE WHEN {2} < 0 THEN FAIL('LEFT takes no negative length') ELSE left({1}, {2}) END
RIGHT(STRING, INT64) -> STRING: CASE WHEN {2} < 0 THEN FAIL('RIGHT takes no negative length') ELSE right({1}, {2}) END
LOWER(STRING) -> STRING: lower({1})
UPPER(STRING) -> STRING: upper({1})
LPAD(STRING, INT64) -> STRING: CASE WHEN {2} < 0 THEN FAIL('LPAD takes no negative length') ELSE lpad({1}, CAST({2} AS INTEGER), ' ') END
LPAD(STRING, INT64, STRING) -> STRING: CASE WHEN {2} < 0 OR {3} = '' THEN FAIL('LPAD takes no negative length and no empty pattern') ELSE lpad({1}, CAST({2} AS INTEGER), {3}) END
RPAD(STRING, INT64) -> STRING: CASE WHEN {2} < 0 THEN FAIL('RPAD takes no negative length') ELSE rpad({1}, CAST({2} AS INTEGER), ' ') END
RPAD(STRING, INT64, STRING) -> STRING: CASE WHEN {2} < 0 OR {3} = '' THEN FAIL('RPAD takes no negative length and no empty pattern') ELSE rpad({1}, CAST({2} AS INTEGER), {3}) END
TRIM(STRING) -> STRING: regexp_replace({1}, '^[\s\v\p{Z}\x{85}]+|[\s\v\p{Z}\x{85}]+$', '', 'g')
LTRIM(STRING) -> STRING: regexp_replace({1}, '^[\s\v\p{Z}\x{85}]+', '')
RTRIM(STRING) -> STRING: regexp_replace({1}, '[\s\v\p{Z}\x{85}]+$', '')
TRIM(STRING, STRING) -> STRING: trim({1}, {2})
LTRIM(STRING, STRING) -> STRING: ltrim({1}, {2})
RTRIM(STRING, STRING) -> STRING: rtrim({1}, {2})
NORMALIZE(STRING) -> STRING: nfc_normalize({1})
REGEXP_CONTAINS(STRING, STRING!) -> BOOL: @matches_pattern
REGEXP_EXTRACT(STRING, STRING!) -> STRING: @extract_pattern
REGEXP_EXTRACT(STRING, STRING!, INT64) -> STRING: @extract_pattern_at
REGEXP_EXTRACT(STRING, STRING!, INT64, INT64) -> STRING: @extract_pattern_at
REGEXP_SUBSTR(STRING, STRING!) -> STRING: @extract_pattern
REGEXP_SUBSTR(STRING, STRING!, INT64) -> STRING: @extract_pattern_at
REGEXP_SUBSTR(STRING, STRING!, INT64, INT64) -> STRING: @extract_pattern_at
REGEXP_EXTRACT_ALL(STRING, STRING!) -> ARRAY<STRING>: @extract_all_patterns
REGEXP_INSTR(STRING, STRING!) -> INT64: @position_of_pattern
REGEXP_REPLACE(STRING, STRING!, STRING) -> STRING: @replace_pattern
REPEAT(STRING, INT64) -> STRING: CASE WHEN {2} < 0 THEN FAIL('REPEAT takes no negative number') ELSE repeat({1}, {2}) END
REPLACE(STRING, STRING, STRING) -> STRING: CASE WHEN {2} = '' THEN {1} ELSE replace({1}, {2}, {3}) END
REVERSE(STRING) -> STRING: reverse({1})
SPLIT(STRING) -> ARRAY<STRING>: string_split({1}, ',')
SPLIT(STRING, STRING) -> ARRAY<STRING>: CASE WHEN {1} = '' THEN [''] ELSE string_split({1}, {2}) END
SUBSTR(STRING, INT64) -> STRING: @part_of_text
SUBSTR(STRING, INT64, INT64) -> STRING: @part_of_text
SUBSTRING(STRING, INT64) -> STRING: @part_of_text
SUBSTRING(STRING, INT64, INT64) -> STRING: @part_of_text
TRANSLATE(STRING, STRING, STRING) -> STRING: translate({1}, {2}, {3})
UNICODE(STRING) -> INT64: CASE WHEN {1} = '' THEN 0 ELSE CAST(unicode({1}) AS BIGINT) END
MD5(STRING) -> BYTES: unhex(md5({1}))
MD5(BYTES) -> BYTES: unhex(md5({1}))
SHA1(STRING) -> BYTES: unhex(sha1({1}))
SHA1(BYTES) -> BYTES: unhex(sha1({1}))
SHA256(STRING) -> BYTES: unhex(sha256({1}))
SHA256(BYTES) -> BYTES: unhex(sha256({1}))
SHA512(STRING) -> BYTES: @sha512
SHA512(BYTES) -> BYTES: @sha512
GENERATE_UUID() -> STRING: CAST(uuid() AS VARCHAR)
"""
