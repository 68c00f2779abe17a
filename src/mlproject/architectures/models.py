"""Models made by a function: the file of `model`, and what may be written there."""

import ast
import re
from pathlib import Path

from mlproject.fields import BLOCKS, MODEL_PATTERN
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError, nearest, short_repr
from mlproject.system.files import sha256_of

ZOO = Path(__file__).parent.parent / "network" / "zoo"


def zoo_names() -> list[str]:
    """Return the names of the models of the zoo."""
    return sorted(path.stem for path in ZOO.glob("*.py") if path.stem != "__init__")


def model_file(model: str) -> Path:
    """Return the file of a model's function: that of FILE.py:FUNCTION, or one of the zoo."""
    path, colon, _ = model.rpartition(":")
    return Path(path) if colon else ZOO / f"{model}.py"


def hash_of_model(model: str) -> str:
    """Return the SHA-256 of the file of a model's function.

    Raises:
        UserError: `model` is not written as it must be, or its file cannot be read.
    """
    if not re.fullmatch(MODEL_PATTERN, model):
        raise UserError(f"`model` must be {_remedy(model)}: got {short_repr(model)}")
    path = model_file(model)
    if path.is_file():
        return sha256_of(path)
    if ":" not in model:
        names = [BLOCKS, *zoo_names()]
        raise UserError(f"unknown model {model!r}: {nearest(model, names)} (or FILE.py:FUNCTION)")
    raise UserError(
        f"`model` must name a file: there is no {str(path)!r}; give its path, absolute "
        "or from the folder that you start in"
    )


_TRUSTED: dict[str, Path] = {}  # SHA-256 -> a file of that content that may be executed


def trust(path: Path) -> None:
    """Let `trusted_file` take a file in place of one with the same content."""
    _TRUSTED[sha256_of(path)] = path


def trusted_file(spec: RunSpec) -> Path:
    """Return the file of a spec's function: the one it names, or one of that content in `trust`.

    Raises:
        UserError: neither has the content that the spec was made with.
    """
    path = model_file(spec.model)
    now = sha256_of(path) if path.is_file() else "no file"
    if now == spec.model_sha256:
        return path
    if spec.model_sha256 in _TRUSTED:
        return _TRUSTED[spec.model_sha256]
    raise UserError(
        f"`model` must be the file that the run began with: {path} had sha256 "
        f"{spec.model_sha256[:12]}, now {now[:12]}; restore it, resume with `--trust`, which runs "
        "the copy that the run has, or start a new run"
    )


def _remedy(model: str) -> str:
    """Return what to write in place of a model that is not written as it must be."""
    path, colon, name = model.rpartition(":")
    file = model if model.endswith(".py") else path if path.endswith(".py") else ""
    if colon and not path:
        return f"FILE.py:FUNCTION, such as my_net.py:{name or 'build'}"
    if file and (not colon or not name or file == model):
        return f"FILE.py:FUNCTION, such as {file}:{_functions(Path(file))[0]}"
    if colon and not file:
        return f"FILE.py:FUNCTION, such as {path}.py:{name or 'build'}"
    return f"{BLOCKS}, a name of the zoo ({', '.join(zoo_names())}), or FILE.py:FUNCTION"


def _functions(path: Path) -> list[str]:
    """Return the names of a file's functions, without running it; ``build`` if there are none."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError):
        return ["build"]
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return sorted(names, key=lambda name: name != "build") or ["build"]
