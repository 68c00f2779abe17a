"""Many runs from one plan, on a laptop's cores or a Dask cluster: ``python -m sweeps PLAN``.

Runs from a checkout: without an installed `mlproject`, that in ``src`` beside this folder is taken.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = (str(ROOT), str(ROOT / "src"))

if importlib.util.find_spec("mlproject") is None:
    sys.path.insert(0, CODE[1])
