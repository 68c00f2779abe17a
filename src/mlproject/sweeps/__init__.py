"""Many runs from one plan, on a laptop's cores or a Dask cluster: ``python -m sweeps PLAN``."""

from pathlib import Path

SOURCE = str(Path(__file__).resolve().parents[2])
"""The folder that holds the package: workers that have not installed it import it from there."""
