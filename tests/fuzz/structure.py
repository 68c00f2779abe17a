"""Changes of what a file says, not of its bytes: HDF5 and JSON of other shapes and types.

A changed byte of a packed or checked file is seen at once; these files are whole and wrong.
"""

import copy
import io
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h5py
import numpy as np

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**30, 1.5, -0.0, 1e308, 5e-324, "", " ",
    "0", "x" * 300, "\n", "\0", "\ud800", "../../x", "/etc/passwd", "é🧬", "nan", "1e9", [], {},
    [[]], [None], [1, 2], ["a", "a"], {"a": 1}, {"": {}}, float("nan"), float("inf"),
)  # fmt: skip
LONGEST = 1 << 18


def change_json(content: bytes, rng: np.random.Generator) -> bytes:
    """Return JSON in which one to three values are others, missing, doubled or moved."""
    values = json.loads(content)
    for _ in range(int(rng.integers(1, 4))):
        values = _changed_value(values, rng)
    return json.dumps(values).encode()[:LONGEST]


def change_lines(content: bytes, rng: np.random.Generator) -> bytes:
    """Return lines of JSON of which one is another."""
    lines = content.splitlines(keepends=True)
    number = int(rng.integers(len(lines)))
    lines[number] = change_json(lines[number], rng) + b"\n"
    return b"".join(lines)


def _changed_value(values: Any, rng: np.random.Generator) -> Any:
    places: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        keys = [*node] if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], dict | list):
                collect(node[key])

    if not isinstance(values, dict | list) or not values or not rng.integers(40):
        return copy.deepcopy(ODD[int(rng.integers(len(ODD)))])
    collect(values)
    node, key = places[int(rng.integers(len(places)))]
    other_node, other_key = places[int(rng.integers(len(places)))]
    kind = int(rng.integers(6))
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[str(ODD[int(rng.integers(len(ODD)))])[:40]] = copy.deepcopy(node[key])
    elif kind == 2:
        node[key] = copy.deepcopy(other_node[other_key])
    elif kind == 3 and isinstance(node[key], str):
        node[key] = node[key][: int(rng.integers(len(node[key]) + 1))]
    elif kind == 4 and isinstance(node[key], list):
        node[key] = node[key] * int(rng.choice([2, 50]))
    else:
        node[key] = copy.deepcopy(ODD[int(rng.integers(len(ODD)))])
    return values


def change_hdf5(content: bytes, rng: np.random.Generator) -> bytes:
    """Return an HDF5 file in which one or two arrays or attributes are others."""
    memory = io.BytesIO(content)
    with h5py.File(memory, "r+") as file:
        for _ in range(int(rng.integers(1, 3))):
            names: list[str] = []
            file.visit(names.append)
            with suppress(Exception), np.errstate(all="ignore"):
                if file.attrs and (not names or not rng.integers(4)):
                    _change_attribute(file, rng)
                elif names:
                    _change_item(file, names[int(rng.integers(len(names)))], names, rng)
    return memory.getvalue()


def _change_attribute(file: h5py.File, rng: np.random.Generator) -> None:
    names = sorted(file.attrs)
    name = names[int(rng.integers(len(names)))]
    old = file.attrs[name]
    kind = int(rng.integers(6))
    if kind == 0:
        del file.attrs[name]
    elif kind == 1 and isinstance(old, str) and old[:1] in "[{":
        file.attrs[name] = change_json(old.encode(), rng).decode()
    elif kind == 2:
        file.attrs[name] = np.bytes_(b"\xff\xfe[")
    elif kind == 3:
        file.attrs[name] = h5py.Empty("f4")
    elif kind == 4:
        file.attrs[name] = np.arange(3)
    else:
        file.attrs[name] = "[" * 100_000 if rng.integers(2) else ""


def _change_item(file: h5py.File, name: str, names: list[str], rng: np.random.Generator) -> None:
    item = file[name]
    if isinstance(item, h5py.Group) or rng.integers(3) == 0:
        del file[name]
        _replace(file, name, names, rng)
        return
    values = item[()]
    del file[name]
    try:
        file[name] = ARRAY_CHANGES[int(rng.integers(len(ARRAY_CHANGES)))](values)
    except Exception:
        file[name] = values


def _replace(file: h5py.File, name: str, names: list[str], rng: np.random.Generator) -> None:
    kind = int(rng.integers(9))
    if kind == 0:
        file.create_group(name)
    elif kind == 1:
        file[name] = h5py.Empty("u1")
    elif kind == 2:
        file[name] = ["text", "more"]
    elif kind == 3:
        file[name] = h5py.SoftLink(f"/{name}")
    elif kind == 4:
        file[name] = h5py.ExternalLink("nowhere.h5", "/x")
    elif kind == 5:
        file.create_dataset(name, (1 << 40, 24), "u1", chunks=(1 << 10, 24))
    elif kind == 6:
        file[name] = h5py.SoftLink(f"/{names[int(rng.integers(len(names)))]}")
    elif kind == 7:
        file.create_dataset(name, (5, 2), "u1", chunks=(1, 2), compression="gzip")


ARRAY_CHANGES: tuple[Callable[[Any], Any], ...] = (
    lambda a: a.T,
    lambda a: a[:0],
    lambda a: a[..., :0],
    lambda a: a[:1],
    lambda a: a[..., None],
    lambda a: a[None],
    lambda a: a.ravel(),
    lambda a: a.astype("f2"),
    lambda a: a.astype(">f8"),
    lambda a: a.astype("i8") - 1,
    lambda a: a.astype("u8"),
    lambda a: a.astype("c8"),
    lambda a: a.astype(bool),
    lambda a: a.astype("S3"),
    lambda a: a + 2,
    lambda a: a * np.nan,
    lambda a: a * 1e30,
    np.zeros_like,
    lambda a: np.repeat(a, 2, axis=-1),
    lambda a: np.array(3),
    lambda a: a[::-1],
    lambda a: np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    lambda a: a.view([(name, "f4") for name in "abcd"]),
)
