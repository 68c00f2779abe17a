"""Names and tags that a run gets from its user, as the store can take them."""

import json
import os

from mlproject.system.errors import UserError

LONGEST_NAME = 250


def one_line(name: str) -> str:
    """Return the name of a run without line breaks.

    Raises:
        UserError: it is longer than a store takes.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise UserError(
            f"`name` of a run must have 1 to {LONGEST_NAME} characters: got {len(name)}; choose "
            "another"
        )
    return name


def environment_name() -> str | None:
    """Return the name in ``MLFLOW_RUN_NAME``, None if there is none."""
    return os.environ.get("MLFLOW_RUN_NAME", "").strip() or None


def environment_tags() -> dict[str, str]:
    """Return the tags in ``MLFLOW_TAGS``, a JSON object; those of ours win over them.

    Raises:
        UserError: it is no JSON object of texts and numbers.
    """
    text = os.environ.get("MLFLOW_TAGS", "").strip()
    if not text:
        return {}
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        tags = None
    if not isinstance(tags, dict) or any(
        isinstance(value, (dict, list)) or value is None or not key for key, value in tags.items()
    ):
        raise UserError(
            "`MLFLOW_TAGS` must be a JSON object of names and values, such as "
            f'{{"team": "genomics"}}: got {text[:60]!r}; mend or unset it'
        )
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in tags.items()
    }
