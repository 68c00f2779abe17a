"""``python -m sweeps PLAN``: the command ``sweep``, from a checkout without an installation too."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.argv[1:1] = ["sweep"]
    runpy.run_path(str(Path(__file__).resolve().parents[1] / "src"), run_name="__main__")
