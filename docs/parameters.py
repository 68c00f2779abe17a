"""Write docs/parameters.md from the fields of the spec: ``python docs/parameters.py``."""

# ruff: noqa: E501

from pathlib import Path
from typing import Literal, get_args, get_origin

from mlproject.architectures import PROTOCOLS, make_spec
from mlproject.fields import Group
from mlproject.report.published import published
from mlproject.spec import Block, RunSpec, fields_of

PAGE = Path(__file__).with_suffix(".md")
TITLES = {
    Group.DATA: "Data",
    Group.NETWORK: "Network",
    Group.TRAINING: "Training",
    Group.TESTING: "Test",
    Group.INTERPRETATION: "Interpretation: filters and attributions",
}
HEAD = """<!-- written by `python docs/parameters.py`, do not edit -->
# Parameters

`-P NAME=VALUE` for `mlflow run`, `--NAME VALUE` for `python -m mlproject train`, `NAME: VALUE` in a plan.
`arch` and `protocol` are presets. Single parameters override them.

| preset | values |
|---|---|
| `arch` | the networks of the paper, {networks}, and every other row of `ARCHITECTURES` in `src/mlproject/architectures/rows.py`; default CNN-25 |
| `protocol` | {protocols}; default released. `released` is what the code of Koo & Eddy 2019 did, on which its printed numbers rest; `paper` is what its text says; `exponential` is that of Koo & Ploenzke 2021 |

These options of `train` are not parameters, since they do not change what is computed: `resume` (a run id), `name`, `experiment`, `backend`
(`jax` or `tensorflow`), `threads`, `quiet`, `json`, `no-check`, `trust`, `register`. A default that is not shown is that of the preset or follows from other parameters.
"""
BLOCKS = """
N is the number of the convolution block, from 1. `filters3` adds a third block, and so on; then give every pool:
`python -m mlproject train --pool1 2 --pool2 5 --filters3 64 --pool3 10`. `filters2=0` leaves one block. By default `pool2` is 100 / `pool_stride1`, and
`pool_strideN` is `poolN`.
"""


def choices(model: type[RunSpec] | type[Block], name: str) -> str:
    """Return the allowed values of a field in words, ``""`` for any text."""
    field = model.model_fields[name]
    for one in (field.annotation, *get_args(field.annotation)):
        if get_origin(one) is Literal:
            return ", ".join(f"`{value}`" for value in get_args(one))
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [
        f"{sign} {getattr(one, key):,}"
        for one in field.metadata
        for key, sign in signs.items()
        if getattr(one, key, None) is not None and getattr(one, key) < 2**62
    ]
    return ", ".join(bounds)


def rows(group: Group) -> list[str]:
    """Return the table rows of one group of fields."""
    defaults = make_spec({}).flat()
    found: list[str] = []
    for name in fields_of(group):
        if name == "blocks":
            for key, field in Block.model_fields.items():
                usual = "" if field.default is None else field.default
                both = (defaults.get(f"{key}{number}", usual) for number in (1, 2))
                default = ", ".join(dict.fromkeys(map(str, both)))
                found.append(
                    f"| `{key}N` | {field.description} | {default} | {choices(Block, key)} |"
                )
        else:
            field = RunSpec.model_fields[name]
            usual = "" if field.default is None else field.default
            default = defaults.get(name, usual)
            found.append(
                f"| `{name}` | {field.description} | {default} | {choices(RunSpec, name)} |"
            )
    return found


def page() -> str:
    """Return the page."""
    presets = {
        "networks": ", ".join(f"`{name}`" for name in dict.fromkeys(published()["arch"])),
        "protocols": ", ".join(f"`{name}`" for name in PROTOCOLS),
    }
    parts = [HEAD.format(**presets)]
    for group, title in TITLES.items():
        table = ["| parameter | meaning | default | values |", "|---|---|---|---|", *rows(group)]
        parts.append(f"\n## {title}\n\n" + "\n".join(table) + "\n")
        parts += [BLOCKS] if group is Group.NETWORK else []
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
