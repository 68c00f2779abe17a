"""A genome: chromosomes by name, any stretch of them as codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mlproject.data.sources import require_file
from mlproject.dna import encode
from mlproject.errors import UserError, nearest


class Genome:
    """An indexed FASTA file; `open_genome` opens one.

    Attributes:
        path: the file.
        sizes: chromosome -> length, nt.
    """

    def __init__(self, path: Path, fasta: object) -> None:
        self.path, self._fasta = path, fasta
        self.sizes = {name: len(fasta[name]) for name in fasta.keys()}  # type: ignore[attr-defined,index]  # noqa: SIM118

    def require(self, chromosome: str, where: str) -> int:
        """Return a chromosome's length.

        Raises:
            UserError: it is not in the genome; `where` says who asks.
        """
        if chromosome in self.sizes:
            return self.sizes[chromosome]
        bare = chromosome.removeprefix("chr")
        same = next((name for name in (f"chr{bare}", bare) if name in self.sizes), None)
        hint = (
            f"there it is called {same}: use one naming for all files"
            if same
            else nearest(chromosome, list(self.sizes)[:100])
        )
        raise UserError(f"{where}: {self.path} has no chromosome {chromosome!r}: {hint}")

    def codes(self, chromosome: str, start: int, end: int) -> np.ndarray:
        """Return uint8 (end - start,).

        Raises:
            UserError: letters that are not DNA.
        """
        text = str(self._fasta[chromosome][start:end])  # type: ignore[index]
        try:
            return encode([text])[0]
        except UserError as error:
            raise UserError(f"{self.path}, {chromosome}:{start + 1}-{end}: {error}") from error


@contextmanager
def open_genome(path: Path) -> Iterator[Genome]:
    """Open a FASTA file, plain or compressed by bgzip; its index is made if there is none.

    Raises:
        UserError: no such file, none of the two formats, an index that is older than the file, or
            that cannot be written.
    """
    from pyfaidx import Fasta, FastaIndexingError, UnsupportedCompressionFormat

    require_file(path)
    index = path.with_name(f"{path.name}.fai")
    if index.exists() and index.stat().st_mtime < path.stat().st_mtime:
        raise UserError(
            f"{index} is older than {path.name}: delete it, it will be made anew from the file"
        )
    try:
        fasta = Fasta(str(path), as_raw=True, rebuild=False)
    except (FastaIndexingError, UnsupportedCompressionFormat, ValueError, OSError) as error:
        text = str(error).strip().splitlines()
        reason = text[0] if text else "cannot be indexed"
        raise UserError(f"{path}: must be FASTA, plain or compressed by bgzip: {reason}") from error
    try:
        genome = Genome(path, fasta)
        if not genome.sizes:
            raise UserError(f"{path}: holds no sequence")
        yield genome
    finally:
        fasta.close()
