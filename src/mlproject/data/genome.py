"""A genome: chromosomes by name, and their letters as codes."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from mlproject.data.faidx import (
    BGZF_MAGIC,
    LONGEST_HEADER,
    BgzfBytes,
    Bytes,
    IndexRecord,
    PlainBytes,
    matching_index,
    read_letters,
)
from mlproject.sequence import encode
from mlproject.system.errors import UserError, nearest
from mlproject.system.files import atomic_file
from mlproject.system.interrupts import Interrupted
from mlproject.system.progress import stage
from mlproject.system.texts import is_packed, other_kind, require_file


class Genome:
    """An indexed FASTA file, opened by `open_genome`.

    Attributes:
        path: the file.
        sizes: chromosome -> length, nt.
    """

    def __init__(self, path: Path, records: Sequence[IndexRecord], content: Bytes) -> None:
        self.path, self._content = path, content
        self._records = {record.name: record for record in records}
        self.sizes = {record.name: record.length for record in records}

    def require(self, chromosome: str, where: str) -> int:
        """Return a chromosome's length.

        Raises:
            UserError: it is not in the genome. The message starts with `where`.
        """
        if chromosome not in self.sizes:
            raise self.lacks(chromosome, where)
        return self.sizes[chromosome]

    def refuse_other_naming(self, chromosome: str, where: str) -> None:
        """Raise a `UserError` if the genome has a missing chromosome under another name."""
        if chromosome not in self.sizes and self._other_name(chromosome):
            raise self.lacks(chromosome, where)

    def lacks(self, chromosome: str, where: str) -> UserError:
        """Return the error for a chromosome that is not in the genome."""
        same = self._other_name(chromosome)
        hint = (
            f"there it is called {same}: use one naming for all files"
            if same
            else nearest(chromosome, list(self.sizes)[:100])
        )
        return UserError(f"{where}: {self.path} has no chromosome {chromosome[:60]!r}: {hint}")

    def _other_name(self, chromosome: str) -> str | None:
        bare = chromosome.removeprefix("chr")
        names = {"M": ("chrM", "M", "MT", "chrMT"), "MT": ("chrM", "M", "MT", "chrMT")}
        candidates = names.get(bare, (f"chr{bare}", bare))
        return next((name for name in candidates if name in self.sizes), None)

    def codes(self, chromosome: str, start: int, end: int) -> np.ndarray:
        """Return the codes of an interval, uint8 (end - start,).

        Raises:
            UserError: letters that are not DNA, an index that does not match the file.
        """
        where = f"{self.path}, {chromosome}:{start + 1}-{end}"
        try:
            letters = read_letters(self._records[chromosome], self._content, start, end)
        except Interrupted:
            raise
        except Exception as error:
            raise UserError(
                f"{where}: cannot be read ({error}): the file is damaged, or {self.path.name}.fai "
                "belongs to another file: delete the index"
            ) from error
        try:
            return encode([letters.decode("latin-1")])[0]
        except UserError as error:
            raise UserError(f"{where}: {error}") from error


@contextmanager
def open_genome(path: Path) -> Iterator[Genome]:
    """Open a FASTA file, plain or compressed by bgzip.

    A missing index is created beside the file if its folder can be written. The time of an index
    does not count, only whether it matches the file.

    Raises:
        UserError: the file is missing or has another format, or the index does not match it.
    """
    require_file(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    with file:
        packed = _check_kind(path, file.read(LONGEST_HEADER))
        try:
            content: Bytes = BgzfBytes(file) if packed else PlainBytes(file)
        except (ValueError, OSError) as error:
            raise UserError(f"{path}: is damaged or cut short: {error}") from error
        genome = Genome(path, _records(path, content), content)
        if not genome.sizes:
            raise UserError(f"{path}: holds no sequence")
        yield genome


def _check_kind(path: Path, head: bytes) -> bool:
    """Return whether the file is compressed by bgzip.

    Raises:
        UserError: it is neither compressed by bgzip nor plain text.
    """
    rule = f"{path}: must be FASTA, plain or compressed by bgzip"
    if head.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{rule}: starts with a byte-order mark: save it as plain ASCII")
    if b"\r" in head and b"\n" not in head:
        raise UserError(f"{rule}: its lines end in CR alone: save it with Unix line ends")
    if kind := other_kind(head):
        raise UserError(f"{rule}: is {kind}")
    packed, named = head.startswith(BGZF_MAGIC), path.name.lower().endswith((".gz", ".bgz"))
    if is_packed(head) and not packed:
        raise UserError(
            f"{rule}: is compressed by another program: decompress it, then compress it with bgzip"
        )
    if packed != named:
        state = "compressed" if packed else "not compressed"
        raise UserError(f"{rule}: is {state}, and its name must agree: {path.name}")
    return packed


def _records(path: Path, content: Bytes) -> list[IndexRecord]:
    """Return the records of the index beside a FASTA file; a missing index is created."""
    index = path.with_name(f"{path.name}.fai")
    if index.exists():
        return matching_index(index, content)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / index.name
        _make_index(path, made)
        with suppress(UserError), atomic_file(index) as file:  # not in a read-only folder
            file.write(made.read_bytes())
        return matching_index(index if index.exists() else made, content)


def _make_index(path: Path, index: Path) -> None:
    from pyfaidx import Faidx

    packed = str(index.with_suffix(".gzi"))
    try:
        with stage(f"indexing {path.name}"):
            Faidx(str(path), indexname=str(index), gzi_indexname=packed, rebuild=False).close()
    except Interrupted:
        raise
    except Exception as error:  # pyfaidx has no common base class
        if index.exists():
            return  # only bgzip's own index failed, which is not used here
        text = str(error).strip().splitlines()
        reason = text[0] if text else "cannot be indexed"
        raise UserError(f"{path}: must be FASTA, plain or compressed by bgzip: {reason}") from error
