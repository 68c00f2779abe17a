"""The stage that attributes: of a run under way, or of one that has finished."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import keras
import numpy as np
from matplotlib.figure import Figure

from mlproject.attribution import Attributions, attribute, patterns
from mlproject.attribution.completeness import completeness_error
from mlproject.attribution.files import write_arrays, write_attributions
from mlproject.attribution.truth import PlantedScores, owners, planted, score, summarise
from mlproject.data import Dataset
from mlproject.draw.logos import save
from mlproject.draw.pattern_logos import pattern_figure
from mlproject.draw.tracks import Track, cropped, marks, richest, track_figure
from mlproject.filters.reading import match_scores
from mlproject.motifs.databases import jaspar
from mlproject.motifs.meme import write_meme
from mlproject.motifs.tomtom import format_tsv
from mlproject.names import Tag
from mlproject.network.build import predict
from mlproject.spec import ATTRIBUTIONS, MODISCO
from mlproject.store import Tracker
from mlproject.system.errors import UserError, nearest
from mlproject.system.interrupts import Interrupts
from mlproject.system.progress import MethodProgress

MOST_TRACKS, SPAN = 12, 200

Record: TypeAlias = Callable[[], None]


class Choice(NamedTuple):
    """Which sequences of the test split are attributed, each for which of its classes.

    Attributes:
        sequences: the first so many; None: all.
        above: for the classes whose predicted probability is above it; None: for those that the
            labels name.
        classes: for these classes only; () = all.
    """

    sequences: int | None = 300
    above: float | None = None
    classes: tuple[str, ...] = ()

    def rows(self, model: keras.Model, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Return the sequences and classes of the rows to attribute, by sequence.

        Raises:
            UserError: an unknown class, or no row is left.
        """
        for name in self.classes:
            if name not in data.classes:
                raise UserError(f"unknown class {name!r}: {nearest(name, data.classes)}")
        marked = np.asarray(data.test.labels[: self.sequences]) == 1
        if self.above is not None:
            marked = predict(model, data.test.codes[: self.sequences]) > self.above
        if self.classes:
            marked &= np.isin(data.classes, self.classes)
        sequences, targets = np.nonzero(marked)
        if not len(sequences):
            raise UserError(
                f"there must be sequences to attribute: of {len(marked)} test sequences none has "
                + ("a label of 1" if self.above is None else f"a score above {self.above}")
                + (f" for {', '.join(self.classes)}" if self.classes else "")
            )
        return sequences, targets


class Place(NamedTuple):
    """Where the stage works: on a run's model and data, and to whom it tells what it finds.

    Attributes:
        name: of the run, for people.
        model: with the trained weights.
        data: the data set.
        tracker: of the run.
        interrupts: what is told while they are deferred is told whole.
        seed: of the methods that draw random numbers.
        evalue: largest E-value of a match.
        quiet: show no progress.
    """

    name: str
    model: keras.Model
    data: Dataset
    tracker: Tracker
    interrupts: Interrupts
    seed: int = 0
    evalue: float = 0.1
    quiet: bool = False


def check(methods: Sequence[str]) -> None:
    """Raise a `UserError` where a method needs a package that is not installed."""
    if MODISCO in methods:
        patterns.require()


def attribute_run(place: Place, methods: Sequence[str], choice: Choice) -> dict[str, float]:
    """Attribute with each method, score the planted positions, and record what was found.

    A method is recorded as soon as it is done, whole or not at all.

    Returns:
        Metrics of all methods: ``saliency/auroc``, ``saliency/auroc/CEBPB`` and so on where the
        truth is known, ``modisco/coverage`` and so on, ``time/NAME`` in seconds.

    Raises:
        UserError: see `Choice.rows`, `mlproject.attribution.attribute` and `patterns.find`.
        Interrupted: a signal; what was recorded before stays.
    """
    sequences, targets = choice.rows(place.model, place.data)
    codes = place.data.test.codes[sequences]
    values: dict[str, float] = {}
    found: Attributions | None = None
    for name in methods:
        started = time.perf_counter()
        if name == MODISCO:
            assert found is not None
            record, own = _patterns(place, found)
        else:
            with MethodProgress(ATTRIBUTIONS[name], place.quiet) as bar:
                found = attribute(
                    place.model, name, codes, targets,
                    sequences=sequences, seed=place.seed, progress=bar.show,
                )  # fmt: skip
            record, own = _attributions(place, found)
        own[f"time/{name}"] = time.perf_counter() - started
        place.interrupts.check()
        with place.interrupts.deferred():
            record()
            place.tracker.tags({Tag.attributions(name): json.dumps(choice._asdict())})
            place.tracker.metrics(own)
        place.interrupts.check()
        if not place.quiet:
            print(_line(name, own, len(codes)), file=sys.stderr, flush=True)
        values |= own
    return values


def _attributions(place: Place, found: Attributions) -> tuple[Record, dict[str, float]]:
    """Return what records a method's scores, and its metrics."""
    data, name = place.data, found.method
    covered = planted(data.test, found.sequences, found.targets, owners(data))
    truth = score(found.importance, covered)
    own = {
        f"{name}/{key}": value
        for key, value in summarise(truth, found.targets, data.classes).items()
    }
    error = completeness_error(place.model, found, place.seed)
    if error is not None:
        own[f"{name}/completeness_error"] = error
    figure = _figure(place, found, truth)

    def record() -> None:
        stem = f"attributions/{name}"
        place.tracker.artifact(
            f"{stem}.h5", lambda path: write_attributions(path, found, data.classes, data.sha256)
        )
        _record_figure(place.tracker, stem, figure)

    return record, own


def _patterns(place: Place, found: Attributions) -> tuple[Record, dict[str, float]]:
    """Return what records TF-MoDISco's patterns, and their scores."""
    folder = Path(tempfile.mkdtemp(prefix="modisco-"))
    try:
        ohe, shap = write_arrays(folder, found)
        made = folder / "modisco.h5"
        with MethodProgress(f"TF-MoDISco on {ATTRIBUTIONS[found.method]}", place.quiet):
            patterns.find(ohe, shap, made, found.codes.shape[1])
        read = patterns.read(made, jaspar(), place.evalue)
        files = {path.name: path.read_bytes() for path in (ohe, shap, made)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    reading, relevant = read.reading, place.data.relevant
    own = {"modisco/patterns": float(len(reading.motifs))}
    own["modisco/negative_patterns"] = float(read.negative)
    if not reading.motifs:
        own |= {"modisco/coverage": 0.0} if any(relevant.values()) else {}
    else:
        values = match_scores(reading, relevant)
        own |= {f"modisco/{key.replace('filters/', 'patterns/')}": values[key] for key in values}
        own.pop("modisco/dead")
    targets = {motif.id: motif for motif in jaspar()}
    title = f"{place.name} · TF-MoDISco on {ATTRIBUTIONS[found.method]}"
    figure = pattern_figure(read, targets, relevant, title)
    table = format_tsv(reading.matches)

    def record() -> None:
        tracker, stem = place.tracker, f"attributions/{MODISCO}"
        for name, content in files.items():
            tracker.artifact(f"attributions/{name}", partial(_write_bytes, content))
        if reading.motifs:
            tracker.artifact(f"{stem}.meme", lambda path: write_meme(path, reading.motifs))
        tracker.artifact(
            f"{stem}_matches.tsv", lambda path: path.write_text(table, encoding="utf-8")
        )
        _record_figure(tracker, stem, figure)

    return record, own


def _figure(place: Place, found: Attributions, truth: PlantedScores) -> Figure:
    """Draw one row of each class, for which the method does as well as it usually does."""
    data = place.data
    chosen = []
    for target in np.unique(found.targets):
        rows = np.flatnonzero(found.targets == target)
        values = np.nan_to_num(truth.auroc[rows], nan=-1.0)
        chosen.append(int(rows[np.argsort(values, kind="stable")[len(rows) // 2]]))
    tracks = []
    for row in chosen[:MOST_TRACKS]:
        name, sequence = data.classes[found.targets[row]], found.sequences[row]
        area = truth.auroc[row]
        note = f"test sequence {sequence}" + (f" · AUROC {area:.2f}" if np.isfinite(area) else "")
        heights = _heights(found, row)
        start, stop = richest(heights, SPAN)
        if stop - start < len(heights):
            note = f"nt {start + 1} to {stop} of {note}"
        shown = cropped(marks(data, sequence, [int(found.targets[row])]), start, stop)
        tracks.append(Track(name, note, found.codes[row, start:stop], heights[start:stop], shown))
    title = f"{place.name} · {ATTRIBUTIONS[found.method]}"
    line = "For each class the sequence with the median AUROC of all that were attributed. "
    line += "Planted motifs are marked, those of the class in purple."
    if data.test.sites is None:
        line = "Each class in one of its sequences; where motifs lie is not known."
    return track_figure([tracks], [], title, line)


def _heights(found: Attributions, row: int) -> np.ndarray:
    one = found._replace(codes=found.codes[row : row + 1], scores=found.scores[row : row + 1])
    return one.importance[0]


def _record_figure(tracker: Tracker, stem: str, figure: Figure) -> None:
    for kind in ("png", "pdf"):
        tracker.artifact(
            f"{stem}.{kind}", lambda path: save(figure, path.with_suffix(""), [path.suffix[1:]])
        )


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _line(name: str, own: Mapping[str, float], rows: int) -> str:
    """Return one line that tells what a method has found."""
    kinds = {"AUROC": "auroc", "AUPR": "aupr", "SNR": "snr", "patterns": "patterns"}
    kinds |= {"coverage": "coverage", "completeness error": "completeness_error"}
    parts = [
        f"{label} {own[key]:.3g}"
        for label, kind in kinds.items()
        if (key := f"{name}/{kind}") in own
    ]
    return f"{name}: {', '.join([f'{rows} rows', *parts])}, {own[f'time/{name}']:.1f} s"
