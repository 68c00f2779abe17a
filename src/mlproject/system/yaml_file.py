"""Read a YAML file of bounded size, depth and expansion as plain values."""

import re
from pathlib import Path
from typing import Any

import yaml

from mlproject.system.errors import UserError
from mlproject.system.texts import decoded

MOST_BYTES = 2**20
MOST_VALUES = 1_000_000
DEEPEST = 10
LONGEST_TEXT = 4096
LARGEST_NUMBER = 2**63 - 1
LONGEST_MESSAGE = 600

_decimal = re.compile(r"[+-]?(0|[1-9][0-9_]*)").fullmatch


def read_yaml(path: Path, kind: str = "plan") -> tuple[str, object]:
    """Return the text of a YAML file and its content; messages call it a `kind`.

    Raises:
        UserError: the file is missing, too large or no YAML, nests too deep, or has too many values
            once its aliases are expanded; one line that names the file.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise UserError(f"{path}: a {kind} must have at most {MOST_BYTES:,} bytes")
        text = decoded(raw)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the {kind} must be a readable file: {path}: {reason}") from error
    try:
        _check_size(text, kind)
        return text, yaml.load(text, _Loader)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        raise UserError(one_line(f"{path}: the {kind} must be YAML: {error}")) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # PyYAML's own constructors raise these for `!!int ''` and the like
        raise UserError(
            one_line(f"{path}: the {kind} must be YAML: a value cannot be read: {error}")
        ) from error


def one_line(text: str) -> str:
    """Return a message on one line, without control characters and of bounded length."""
    text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 2]} …"


def _check_size(text: str, kind: str) -> None:
    """Check the depth and the number of values, aliases expanded, without building a value."""
    sizes: dict[str, int] = {}
    open_ones: list[tuple[str | None, int]] = []
    size = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise UserError(
                    f"the alias `*{event.anchor}` must name a value that ends before it"
                )
            size += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            size += 1
            if len(event.value) > LONGEST_TEXT:
                raise UserError(f"a value must have at most {LONGEST_TEXT:,} characters")
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_ones.append((event.anchor, size))
            size += 1
            if event.anchor:
                sizes.pop(event.anchor, None)
            if len(open_ones) > DEEPEST:
                raise UserError(f"lists and mappings must nest at most {DEEPEST} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_ones.pop()
            if anchor:
                sizes[anchor] = size - before
        if size > MOST_VALUES:
            raise UserError(
                f"a {kind} must have at most {MOST_VALUES:,} values, aliases written out"
            )


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML without repeated keys and huge integers, in which dates are texts.

    YAML 1.1 reads ``010`` as 8 and ``1:30`` as 90. Both are refused.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, (str, int, float, type(None))):
                raise _refused("a key must be a name", key_node)
            if key in seen:
                raise _refused(f"`{key}` is given twice", key_node)
            seen.add(key)
        content: dict[Any, Any] = super().construct_mapping(node, deep)
        return content

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        digits = len(node.value)
        value = super().construct_yaml_int(node) if digits <= 100 else LARGEST_NUMBER + 1
        if abs(value) > LARGEST_NUMBER:
            raise _refused(f"an integer must be at most {LARGEST_NUMBER:,}", node)
        if not _decimal(node.value):
            raise _refused(
                f"an integer must have decimal digits, without leading zeros: got {node.value}",
                node,
            )
        return int(value)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        if ":" in node.value:
            raise _refused(f"a number must be decimal, or a text in quotes: got {node.value}", node)
        return float(super().construct_yaml_float(node))

    def refuse_merge(self, node: yaml.Node) -> None:
        raise _refused("`<<` is not known: write the fields out", node)


def _refused(rule: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, rule, node.start_mark)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
_Loader.add_constructor("tag:yaml.org,2002:merge", _Loader.refuse_merge)
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if not pair[0].endswith(":timestamp")]
    for first, pairs in _Loader.yaml_implicit_resolvers.items()
}
