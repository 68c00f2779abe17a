"""Small random changes of a file's bytes, as damage, other programs and typing mistakes make them.

All are drawn from a generator that is passed in: the same generator gives the same file.
"""

import re
from collections.abc import Callable

import numpy as np

LONGEST = 1 << 16

NUMBERS = (
    b"0", b"-1", b"1", b"2", b"-0", b"255", b"256", b"65536", b"2147483648", b"4294967295",
    b"9223372036854775807", b"18446744073709551616", b"1" * 400, b"1e9", b"1e-400", b"1e400",
    b"nan", b"inf", b"-inf", b"0x10", b"1_000", b"007", b"1.5", b".", b"+", b"",
)  # fmt: skip
TOKENS = (
    b"\n", b"\r\n", b"\r", b"\t", b" ", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff",
    b"\xe2\x80\xa8", b"\x1f\x8b", b"\x1b[2J", b"\xc3\xa9", b"\xf0\x9f\xa7\xac", b"#", b">", b"=",
    b",", b":", b";", b"/", b"\\", b"'", b'"', b"`", b"%", b"{", b"}", b"[", b"]", b"(", b")", b"*",
    b"&", b"!!python/object", b"<<: *a", b"null", b"true", b"None", b"../..", b"/etc/passwd",
    b"CON", b"N", b"U", b"X",
)  # fmt: skip

_number = re.compile(rb"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_word = re.compile(rb"[A-Za-z_]{2,}")


def mutate(content: bytes, rng: np.random.Generator, *, text: bool) -> bytes:
    """Return a file that differs by one to four changes; `text` ones know lines and numbers."""
    changes = (*_ANY, *_TEXT * 2) if text else _ANY
    for _ in range(int(rng.integers(1, 5))):
        content = changes[int(rng.integers(len(changes)))](content, rng)[:LONGEST]
    return content


def _span(size: int, rng: np.random.Generator) -> slice:
    start = int(rng.integers(size + 1))
    longest = int(rng.choice([1, 4, 40, max(size, 1)]))
    return slice(start, min(start + int(rng.integers(1, longest + 1)), size))


def _flip(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    if changed:
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _overwrite(content: bytes, rng: np.random.Generator) -> bytes:
    span = _span(len(content), rng)
    kinds = (b"\0", b"\xff", b"\x80", bytes([int(rng.integers(256))]))
    value = kinds[int(rng.integers(len(kinds)))]
    return content[: span.start] + value * (span.stop - span.start) + content[span.stop :]


def _delete(content: bytes, rng: np.random.Generator) -> bytes:
    span = _span(len(content), rng)
    return content[: span.start] + content[span.stop :]


def _repeat(content: bytes, rng: np.random.Generator) -> bytes:
    span = _span(len(content), rng)
    times = int(rng.choice([1, 2, 50]))
    return content[: span.stop] + content[span] * times + content[span.stop :]


def _move(content: bytes, rng: np.random.Generator) -> bytes:
    span = _span(len(content), rng)
    rest = content[: span.start] + content[span.stop :]
    place = int(rng.integers(len(rest) + 1))
    return rest[:place] + content[span] + rest[place:]


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _insert(content: bytes, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(len(content) + 1))
    token = (*TOKENS, *NUMBERS)[int(rng.integers(len(TOKENS) + len(NUMBERS)))]
    return content[:place] + token + content[place:]


def _number_changed(content: bytes, rng: np.random.Generator) -> bytes:
    found = list(_number.finditer(content))
    if not found:
        return content
    match = found[int(rng.integers(len(found)))]
    other = NUMBERS[int(rng.integers(len(NUMBERS)))]
    return content[: match.start()] + other + content[match.end() :]


def _words_swapped(content: bytes, rng: np.random.Generator) -> bytes:
    found = list(_word.finditer(content))
    if not found:
        return content
    one, other = (found[int(place)] for place in rng.integers(len(found), size=2))
    return content[: one.start()] + other[0] + content[one.end() :]


def _line_changed(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.split(b"\n")
    place, other = (int(number) for number in rng.integers(len(lines), size=2))
    kind = int(rng.integers(4))
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(other, lines[place])
    elif kind == 2:
        lines[place], lines[other] = lines[other], lines[place]
    else:
        separator = (b"\t", b" ", b",")[int(rng.integers(3))]
        cells = lines[place].split(separator)
        cells.insert(int(rng.integers(len(cells) + 1)), cells.pop(int(rng.integers(len(cells)))))
        lines[place] = separator.join(cells[: int(rng.integers(1, len(cells) + 1))])
    return b"\n".join(lines)


Change = Callable[[bytes, np.random.Generator], bytes]
_ANY: tuple[Change, ...] = (_flip, _flip, _overwrite, _delete, _repeat, _move, _cut, _insert)
_TEXT: tuple[Change, ...] = (_number_changed, _number_changed, _words_swapped, _line_changed)
