"""Functions that DuckDB lacks, as macros. They are defined only where a query calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duckdb import DuckDBPyConnection

_PRIME_BITS = 64
_MASK = 2**64 - 1


def _primes(number: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < number:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _root(value: int, degree: int) -> int:
    """Return the whole part of a root, by bisection."""
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low


def _fraction_of_root(prime: int, degree: int) -> int:
    """Return the first 64 bits of the fraction of a root: FIPS 180-4 takes its constants from these."""
    return _root(prime << (_PRIME_BITS * degree), degree) & _MASK


def _rotated(word: str, bits: int) -> str:
    return f"(({word} >> {bits}) | (({word} << {64 - bits}) & {_MASK}::UHUGEINT))"


def _mixed(word: str, rotations: tuple[int, ...], shift: int = 0) -> str:
    parts = [_rotated(word, bits) for bits in rotations] + ([f"({word} >> {shift})"] if shift else [])
    mixed = parts[0]
    for part in parts[1:]:
        mixed = f"xor({mixed}, {part})"
    return mixed


def _sum(*words: str) -> str:
    return f"(({' + '.join(words)}) & {_MASK}::UHUGEINT)"


def _sha512() -> str:
    """Return FIPS 180-4, section 6.4: a list of 80 rounds for each block, folded into one state.

    `w` are the last 16 words of the schedule, `s` the working variables, `h` the hash so far, `n` the next word.
    """
    rounds = ", ".join(f"{_fraction_of_root(prime, 3)}::UHUGEINT" for prime in _primes(80))
    first = ", ".join(f"{_fraction_of_root(prime, 2)}::UHUGEINT" for prime in _primes(8))
    scheduled = _sum(_mixed("a.w[15]", (19, 61), 6), "a.w[10]", _mixed("a.w[2]", (1, 8), 7), "a.w[1]")
    word = f"CASE WHEN e.t < 16 THEN e.n ELSE {scheduled} END"
    choice = "xor(v.s[5] & v.s[6], xor(v.s[5], 18446744073709551615::UHUGEINT) & v.s[7])"
    majority = "xor(xor(v.s[1] & v.s[2], v.s[1] & v.s[3]), v.s[2] & v.s[3])"
    one = _sum("v.s[8]", _mixed("v.s[5]", (14, 18, 41)), choice, "v.k", "v.n")
    two = _sum(_mixed("v.s[1]", (28, 34, 39)), majority)
    turned = f"[{_sum('u.one', two.replace('v.', 'u.v.'))}, u.v.s[1], u.v.s[2], u.v.s[3], {_sum('u.v.s[4]', 'u.one')}, u.v.s[5], u.v.s[6], u.v.s[7]]"
    added = ", ".join(_sum(f"a.h[{i}]", f"r.s[{i}]") for i in range(1, 9))
    prepared = (
        "[{'t': e.t, 'k': e.k, 'n': " + word + ", 'w': a.w, 'h': a.h, 's': CASE WHEN e.t = 0 THEN a.h ELSE a.s END}]"
    )
    with_one = f"list_transform({prepared}, lambda v: {{'v': v, 'one': {one}}})"
    turned_list = (
        f"list_transform({with_one}, lambda u: {{'t': u.v.t, 'k': u.v.k, 'n': u.v.n, 'w': list_append(u.v.w[2:], u.v.n), "
        f"'h': u.v.h, 's': {turned}}})"
    )
    finished = f"list_transform({turned_list}, lambda r: {{'t': r.t, 'k': r.k, 'n': r.n, 'w': r.w, 'h': CASE WHEN r.t = 79 THEN [{added}] ELSE r.h END, 's': r.s}})[1]"
    digits = "hex(content) || '80' || repeat('00', CAST((239 - octet_length(content) % 128) % 128 AS BIGINT)) || printf('%032x', octet_length(content) * 8)"
    steps = (
        f"list_transform(range(0, length(digits) // 256 * 80), lambda i: {{'t': i % 80, 'k': [{rounds}][i % 80 + 1], "
        f"'n': CASE WHEN i % 80 < 16 THEN CAST(CAST('0x' || digits[i // 80 * 256 + i % 80 * 16 + 1 : i // 80 * 256 + i % 80 * 16 + 16] AS UBIGINT) AS UHUGEINT) ELSE 0::UHUGEINT END, "
        f"'w': list_transform(range(16), lambda z: 0::UHUGEINT), 'h': [{first}], 's': [{first}]}})"
    )
    start = f"{{'t': -1::BIGINT, 'k': 0::UHUGEINT, 'n': 0::UHUGEINT, 'w': list_transform(range(16), lambda z: 0::UHUGEINT), 'h': [{first}], 's': [{first}]}}"
    folded = f"list_reduce(list_concat([{start}], {steps.replace('digits', 'd')}), lambda a, e: {finished}).h"
    words = f"list_transform({folded}, lambda word: printf('%016x', CAST(word AS UBIGINT)))"
    return f"(content) AS CASE WHEN content IS NOT NULL THEN unhex(list_transform([{digits}], lambda d: array_to_string({words}, ''))[1]) END"


_MACROS = {"bigquery_sha512": _sha512}


def define(connection: DuckDBPyConnection, names: Iterable[str]) -> None:
    """Define macros on a connection."""
    for name in names:
        connection.execute(f"CREATE TEMP MACRO {name}{_MACROS[name]()}")
