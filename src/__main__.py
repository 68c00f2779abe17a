"""``python src COMMAND``: the command line from a checkout, without installing anything."""

import importlib.util
import sys

if importlib.util.find_spec("click") is None or importlib.util.find_spec("mlflow") is None:
    sys.exit(
        f"error: {sys.executable} lacks what this project needs: `make run` sets everything up; "
        "before `mlflow run --env-manager local`, activate it: `. .venv/bin/activate`"
    )

from mlproject.__main__ import main

if __name__ == "__main__":
    main()
