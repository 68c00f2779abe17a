"""Many runs from one plan, on a laptop's cores or a Dask cluster: ``python -m sweeps PLAN``."""

from pathlib import Path

SOURCE = str(Path(__file__).resolve().parents[2])
"""Folder of the package: a worker without an installed package imports it from here."""
