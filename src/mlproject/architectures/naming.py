"""Names of runs, networks and protocols, as the paper prints them."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from mlproject.architectures.presets import make_spec
from mlproject.architectures.rows import ARCHITECTURES, PROTOCOLS
from mlproject.fields import BLOCKS, Group
from mlproject.spec import BUILDER_FIELDS, RunSpec, fields_of
from mlproject.system.messages import quantity

DURATION: Mapping[str, Callable[[Any], str]] = {
    "epochs": lambda count: quantity(count, "epoch"),
    "patience": "patience {}".format,
    "monitor": "monitor {}".format,
}
"""Fields in which a spec may differ from a protocol and keep its name, and how that is written."""


def arch_name(spec: RunSpec) -> str:
    """Return the paper's name of the network, that of its function, or ``custom``.

    A named network with another activation has both names: ``CNN-2, exponential``.
    """
    if spec.model != BLOCKS:
        return spec.model.rpartition(":")[2]
    rows = {name: _named_spec(name) for name in ARCHITECTURES}
    fields = fields_of(Group.NETWORK)
    for name, row in rows.items():
        if _same(spec, row, fields):
            return name
    others = tuple(name for name in fields if name != "activation")
    for name, row in rows.items():
        if _same(spec, row, others):
            return f"{name}, {spec.activation}"
    return "custom"


@lru_cache
def _named_spec(arch: str) -> RunSpec:
    return make_spec({"arch": arch})


def base_arch(arch: str) -> str:
    """Return the row of `ARCHITECTURES` that a network's name begins with, else the name."""
    return arch.partition(", ")[0]


def protocol_name(spec: RunSpec) -> str:
    """Return the preset whose fields the spec has, ``custom`` if it is neither.

    Other epochs, patience or monitor follow the name: ``released, 15 epochs, patience 5``. The
    window may be that of the protocol or that of the network's own row.
    """
    arch = base_arch(arch_name(spec))
    unused = (*(BUILDER_FIELDS if spec.model != BLOCKS else ()), *DURATION)
    for name, row in PROTOCOLS.items():
        plain = make_spec({"protocol": name})
        own = make_spec({"protocol": name, "arch": arch}) if arch in ARCHITECTURES else plain
        fields = tuple(field for field in (*row, "threshold") if field not in unused)
        if _same(spec, plain, fields) and spec.window in (plain.window, own.window):
            changed = [
                text(getattr(spec, field))
                for field, text in DURATION.items()
                if getattr(spec, field) != getattr(plain, field)
            ]
            return ", ".join([name, *changed])
    return "custom"


def printed_name(arch: str) -> str:
    """Return a network's name as the paper prints it: ``CNN-25x60`` is ``CNN-25 (60)``."""
    return re.sub(r"x(\d+)(?=$|,)", r" (\1)", arch)


def network_order(arch: str) -> tuple[int, str]:
    """Return the sort key of a network: the paper's order, then other networks by name."""
    names = list(ARCHITECTURES)
    base = base_arch(arch)
    return (names.index(base) if base in ARCHITECTURES else len(names)), arch


def preset_names(spec: RunSpec) -> dict[str, str]:
    """Return the names of the spec's network and protocol, as ``arch`` and ``protocol``."""
    return {"arch": arch_name(spec), "protocol": protocol_name(spec)}


def run_name(spec: RunSpec) -> str:
    """Return a name that people recognise: ``CNN-25 · seed 3``, ``CNN-4 · paper · seed 0``.

    A network without a name in the paper is named by its difference from CNN-25.
    """
    arch, protocol = arch_name(spec), protocol_name(spec)
    if spec.arguments:
        arch += " " + ", ".join(f"{name}={value}" for name, value in spec.arguments.items())
    if arch == "custom":
        base = make_spec({}).flat()
        own = [
            f"{name}={value}"
            for name, value in spec.flat(Group.NETWORK).items()
            if value != base.get(name)
        ]
        arch = " ".join(["CNN", *own]) if len(own) <= 4 else " ".join(["CNN", *own[:4], "…"])
    parts = [printed_name(arch), *([] if protocol == "released" else [protocol])]
    return " · ".join([*parts, f"seed {spec.seed}"])


def _same(one: RunSpec, other: RunSpec, fields: tuple[str, ...]) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in fields)
