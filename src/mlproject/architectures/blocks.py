"""Convolution blocks of flat names, with what the paper derives."""

import re
from typing import Any

from pydantic import ValidationError

from mlproject.parameters import field_info
from mlproject.spec import BLOCK_FIELDS, Block
from mlproject.system.errors import UserError, short_repr


def assemble(flat: dict[str, Any]) -> tuple[Block, ...]:
    """Assemble ``filters1 kernel1 ... poolN`` into blocks and fill in what the paper derives."""
    if flat.get("filters2") == 0:
        second = {"filters2", "kernel2"}
        if extra := sorted(set(flat) - second - {f"{key}1" for key in BLOCK_FIELDS}):
            raise UserError(f"`filters2=0` makes a network of one block: leave {extra[0]} out")
        flat = {name: value for name, value in flat.items() if name not in second}
    count = max(int(match[0]) for name in flat if (match := re.search(r"\d+$", name)))
    blocks: list[Block] = []
    for number in range(1, count + 1):
        row = {key: flat[f"{key}{number}"] for key in BLOCK_FIELDS if f"{key}{number}" in flat}
        if "filters" not in row:
            raise UserError(
                f"a network with block {count} needs `filters{number}`: give filters{number}"
            )
        row.setdefault("kernel", 5)
        if "pool" not in row:
            row["pool"] = _second_pool(number, count, blocks[0])
        row.setdefault("pool_stride", row["pool"])
        if row.get("pooling") == "attention" and row["pool_stride"] != row["pool"]:
            raise UserError(
                f"`pooling{number}=attention` needs windows that do not overlap: got "
                f"pool_stride{number}={row['pool_stride']}, pool{number}={row['pool']}"
            )
        if isinstance(row["pool"], int) and row["pool_stride"] > row["pool"]:
            raise UserError(
                f"`pool_stride{number}` must not exceed `pool{number}`, positions would be lost: "
                f"got pool_stride{number}={row['pool_stride']}, pool{number}={row['pool']}"
            )
        try:
            blocks.append(Block(**row))
        except ValidationError as error:
            raise UserError(one_line(error, suffix=str(number))) from error
    return tuple(blocks)


def _second_pool(number: int, count: int, first: Block) -> int:
    """Return 100 / `pool_stride1`, which keeps the paper's two pools at 100 together."""
    if (number, count) != (2, 2):
        raise UserError(f"a network of {count} blocks needs every pool: give pool{number}")
    if 100 % first.pool_stride:
        works = " ".join(str(value) for value in range(1, 101) if 100 % value == 0)
        raise UserError(
            f"`pool2` defaults to 100 / `pool_stride1`, which must be an integer: "
            f"got pool_stride1={first.pool_stride} (by default pool1); "
            f"pools of {works} work, or give pool2 as well"
        )
    return 100 // first.pool_stride


def one_line(error: ValidationError, suffix: str = "") -> str:
    """Return the first error of a spec or block as one line; `suffix` numbers a block's field."""
    first = error.errors()[0]
    if not first["loc"]:
        rule = first["msg"].removeprefix("Value error, ")
        return f"`layers` {rule}: got {short_repr(first['input']['layers'])}"
    name = f"{first['loc'][-1]}{suffix}"
    if first["type"] == "value_error":
        text = str(first["msg"]).removeprefix("Value error, ")
        return text if text.startswith(f"`{name}`") else f"`{name}`: {text}"
    info = field_info(name)
    about = f" ({info.description})" if info else ""
    rule = first["msg"].replace("Input should be", "must be").replace("'", "")
    rule = re.sub(r"0\.0{5,}\d+", lambda found: f"{float(found[0]):g}", rule)
    return f"`{name}` {rule}: got {short_repr(first['input'])}{about}"
