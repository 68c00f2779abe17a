"""Data sets: generated or converted, all with one `Dataset` type and one HDF5 layout."""

from contextlib import suppress
from pathlib import Path

from mlproject.data.dataset import Dataset, make_dataset
from mlproject.data.folds import refold
from mlproject.data.reading import read
from mlproject.data.rows import Rows
from mlproject.data.split import SITE, Split
from mlproject.data.synthetic import make_synthetic, provenance
from mlproject.data.writing import write
from mlproject.fields import canonical_sha256
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError

__all__ = [
    "SITE",
    "Dataset",
    "Rows",
    "Split",
    "load",
    "make_dataset",
    "make_synthetic",
    "read",
    "write",
]


def load(spec: RunSpec, folder: Path, path: Path | None = None) -> Dataset:
    """Return the data set of a run.

    A data set of a recipe is generated once into `folder` and read from there later. Its file name
    contains the hash of its recipe. A damaged file is generated again. Several processes may load
    at the same time.

    Args:
        spec: the run.
        folder: the folder of generated data sets.
        path: the present path of the data set's file; None: that of the spec.

    Raises:
        UserError: see `mlproject.data.reading.read`, `mlproject.data.synthetic.generate` and
            `mlproject.data.folds.refold`.
    """
    data = read(path) if path else _loaded(spec, folder)
    return refold(data, spec.folds, spec.fold) if spec.folds else data


def _loaded(spec: RunSpec, folder: Path) -> Dataset:
    if not spec.generated:
        return read(Path(spec.dataset))
    size = (spec.data_seed, spec.sequences, spec.length)
    wanted = provenance(spec.dataset, *size)
    path = folder / f"{spec.dataset}-{canonical_sha256(wanted)[:16]}.h5"
    with suppress(UserError):
        dataset = read(path, hashed=True)
        if {name: dataset.provenance.get(name) for name in wanted} == wanted:
            return dataset
    return make_synthetic(path, *size, spec.dataset)
