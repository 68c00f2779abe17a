"""Recipes of generated data sets: rows that state their difference from the first paper's recipe.

A new recipe is a new row of `RECIPES`, and its name in `mlproject.fields.GENERATED`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from mlproject.data.paper import FACTORS
from mlproject.data.recipe import Recipe
from mlproject.fields import GENERATED
from mlproject.system.errors import UserError, nearest, short_repr

CORE = ("SP1", "Gabpa", "CEBPB", "MAX", "YY1")

RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "synthetic": {"description": "Koo & Eddy 2019: twelve factors, a class each"},
        "exponential": {
            "description": "Koo & Ploenzke 2021, task 1: the same, with gaps from 0 nt",
            "gaps": "free",
            "relevant": "MEF2A=MA0052,STAT1=MA0137+MA0660+MA0773",  # as in the authors' notebook
        },
        "codes": {
            "description": "Koo & Ploenzke 2021, task 3: regulatory codes of five factors",
            "motifs": ",".join(
                factor.jaspar_id for name in CORE for factor in FACTORS if factor.name == name
            ),
            "fewest": 3,
            "gaps": "free",
            "labels": "code",
            "negatives": 0.5,
            "negative_kind": "decoys",
            "decoys": 50,
        },
        "mpra": {
            "description": "a reporter assay: eight factors, six with additive effects",
            "motifs": "MA0466.2,MA0477.1,MA0062.2,MA0058.3,MA0079.3,MA0083.3,MA0137.3,MA0095.2",
            "labels": "value",
            "counts": "0.1,0.2,0.3,0.2,0.2",
            "effects": "1,-1,1.5,0.75,-0.75,2,0,0",
            "noise": 0.3,
            "sharpness": 3.0,
        },
        "mpra_interaction": {
            "description": "a reporter assay: six factors, two of which act together only",
            "motifs": "MA0466.2,MA0062.2,MA0058.3,MA0079.3,MA0083.3,MA0095.2",
            "labels": "value",
            "counts": "0.1,0.2,0.3,0.2,0.2",
            "effects": "1,-1,0.75,0,0,0",
            "interactions": "MA0079.3+MA0083.3=2.5",
            "noise": 0.3,
            "sharpness": 3.0,
        },
        "accessibility": {
            "description": "counts of reads: six factors change their logarithm",
            "motifs": "MA0466.2,MA0062.2,MA0058.3,MA0079.3,MA0083.3,MA0095.2",
            "labels": "counts",
            "counts": "0.1,0.2,0.3,0.2,0.2",
            "effects": "0.5,-0.5,0.4,0.6,0.7,0",
        },
        "cell_types": {
            "description": "six classes that exclude each other, 1 to 3 motifs of one factor each",
            "motifs": "MA0466.2,MA0062.2,MA0058.3,MA0079.3,MA0083.3,MA0095.2",
            "labels": "kind",
            "counts": "0.5,0.3,0.2",
        },
        "grammar": {
            "description": "two factors 10 nt apart, in one order: negatives break the rule only",
            "motifs": "MA0466.2,MA0058.3",
            "fewest": 2,
            "counts": "1",
            "repeats": "none",
            "strands": "forward",
            "order": "listed",
            "spacing": "10",
            "labels": "code",
            "negatives": 0.5,
            "negative_kind": "scrambled",
        },
    }
)
assert RECIPES.keys() == GENERATED.keys()


def make_recipe(name: str, settings: Mapping[str, str] | None = None) -> Recipe:
    """Return the recipe of a row, with some fields set to what a user wrote.

    Raises:
        UserError: unknown row or field, or a value that does not fit.
    """
    if name not in RECIPES:
        raise UserError(f"unknown recipe {short_repr(name)}: {nearest(name, RECIPES)}")
    values = dict(RECIPES[name])
    for field, text in (settings or {}).items():
        if field not in Recipe.model_fields or field == "description":
            allowed = [one for one in Recipe.model_fields if one != "description"]
            raise UserError(f"unknown setting `{field}`: {nearest(field, allowed)}")
        values[field] = _typed(field, text)
    try:
        return Recipe(**values)
    except ValidationError as error:
        first = error.errors()[0]
        rule = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        if first["type"] == "string_pattern_mismatch":
            rule = f"has another form ({Recipe.model_fields[str(first['loc'][0])].description})"
        where = f"`{first['loc'][0]}` " if first["loc"] else ""
        got = f": got {short_repr(first['input'])}" if first["loc"] else ""
        raise UserError(f"{where}{rule}{got}") from error


def parse_settings(changes: Sequence[str]) -> dict[str, str]:
    """Return the settings of ``NAME=VALUE`` texts.

    Raises:
        UserError: another form, or a name that is given twice.
    """
    found: dict[str, str] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise UserError(f"`--set` must be NAME=VALUE, such as gc=0.4: got {short_repr(change)}")
        if name.strip() in found:
            raise UserError(f"`--set` must give {name.strip()} once: got it twice")
        found[name.strip()] = value.strip()
    return found


def format_recipe(recipe: Recipe) -> str:
    """Return a recipe as tab-separated lines: setting, value, what it is."""
    lines = [
        f"{name}\t{getattr(recipe, name)}\t{field.description}"
        for name, field in Recipe.model_fields.items()
        if name != "description"
    ]
    return "\n".join([recipe.description, *lines])


def _typed(field: str, text: str) -> int | float | str:
    kind = type(Recipe.model_fields[field].default)
    try:
        return kind(text)
    except ValueError as error:
        what = "an integer" if kind is int else "a number"
        raise UserError(f"`{field}` must be {what}: got {short_repr(text)}") from error
