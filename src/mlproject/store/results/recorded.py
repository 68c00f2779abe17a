"""What runs have recorded of themselves: the spec in a tag, the data set in an input's profile."""

import json
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlproject.architectures import recorded_spec
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError


class Profile(BaseModel):
    """What the profile of an input says of the data set; more may stand in it."""

    model_config = ConfigDict(strict=True, frozen=True)

    length: Annotated[int, Field(ge=1, le=10**9)] | None = None
    classes: Annotated[int, Field(ge=1, le=10**6)] | None = None
    relevant: dict[str, tuple[str, ...]] = Field(default_factory=dict)


@lru_cache(maxsize=1024)
def parse_spec(text: str) -> RunSpec:
    """Read the tag ``mlproject.spec`` of a run.

    Raises:
        UserError: it is not a spec, or one of a later version of the project.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("it must be an object {...}")
        return recorded_spec(values)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"the tag `mlproject.spec` must be a spec: {reason}") from error
