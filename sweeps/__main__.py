"""``python -m sweeps PLAN``: the command ``sweep``, from a checkout without an installation too."""

import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("mlproject") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from mlproject.commands.cli import main

if __name__ == "__main__":
    main(["sweep", *sys.argv[1:]])
