"""The figures of a report, drawn from runs and from the filters that they have recorded."""

from collections.abc import Callable, Mapping, Sequence

import pandas

from mlproject import results
from mlproject.architectures import printed_name
from mlproject.data.paper import FACTORS
from mlproject.draw.panels import Block, panel_figure
from mlproject.filters.reading import LayerReading, classes_of
from mlproject.motifs.databases import jaspar
from mlproject.motifs.pwm import Motif
from mlproject.report.atlas import atlas_figure, make_atlas
from mlproject.report.content import Picture, Report
from mlproject.report.figures import POOLS, filters_figure, message_figure, pareto_figure
from mlproject.report.pooling import of_dataset, pool
from mlproject.report.published import DATASETS, IN_VIVO, SYNTHETIC
from mlproject.report.toy import toy_figure
from mlproject.report.truth_figures import methods_figure, sites_figure
from mlproject.report.verdicts import ONE_DATA_SET
from mlproject.store import Store
from mlproject.system.errors import UserError

PANELS = {
    "fig2": (SYNTHETIC, (("CNN-2", 1), ("CNN-4", 1), ("CNN-25", 1))),
    "fig3": (SYNTHETIC, (("CNN9-4", 1), ("CNN9-25", 1), ("CNN-50-2", 1), ("CNN19-1-2", 1))),
    "fig4": (IN_VIVO, (("CNN-2", 1), ("CNN-4", 1), ("CNN-25", 1))),
    "figS1": (SYNTHETIC, (("CNN-1", 1), ("CNN-1", 2))),
    "figS2": (IN_VIVO, (("CNN-1", 1), ("CNN-1", 2))),
}
TITLES = {
    "fig2": "Fig 2. First-layer filters for three pool sizes",
    "fig3": "Fig 3. First-layer filters of alternative networks",
    "fig4": "Fig 4. First-layer filters for three pool sizes, in vivo sequences",
    "figS1": "S1 Fig. Filters of the first and the second layer",
    "figS2": "S2 Fig. Filters of the first and the second layer, in vivo sequences",
}


class Readings:
    """The filters of runs, each loaded once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str], LayerReading] = {}

    def load(self, row: pandas.Series, layer: str) -> LayerReading:
        """Return the reading of a layer of the run of a row; errors as `results.filters`."""
        key = (str(row["run_id"]), layer)
        if key not in self._known:
            self._known[key] = results.filters(row, layer, self._store)
        return self._known[key]


def draw(
    report: Report,
    counted: pandas.DataFrame,
    networks: Sequence[str],
    readings: Readings,
    tell: Callable[[str], None],
) -> None:
    """Add all figures and atlases to a report, and say in `missing` what could not be drawn.

    Args:
        report: the report.
        counted: runs that count.
        networks: names of networks to show side by side, beside the paper's figures.
        readings: the filters of runs.
        tell: is told what is going on.
    """
    pictures = report.pictures
    charts = {
        "message": (
            message_figure(counted),
            "Representation against pool size",
            "Share of first-layer filters that match a motif, and test AUROC, against the first "
            "max-pool. Points: our trials; line: their mean; band and dashes: published mean ± "
            f"standard deviation. {ONE_DATA_SET}",
        ),
        "filters": (
            filters_figure(counted),
            "Representation against the number of filters",
            "CNN-25 with 30, 60, 90 and 120 first-layer filters, drawn as above.",
        ),
        "truth_filters": (
            sites_figure(counted),
            "Filters against the planted sites",
            "First-layer filters and the sites that were planted, synthetic sequences. Left: how "
            "well activations tell the sites of a filter's motif from all other places; dashed: "
            "the motif itself as a filter. Middle: positions above the threshold of the alignment. "
            "Right: of all AUROC that is lost without single filters, the share of filters that "
            "match a relevant motif. Points: trials; line: their mean.",
        ),
        "truth_attributions": (
            methods_figure(counted),
            "Attributions against the planted sites",
            "How well the importance of nucleotides tells planted ones from all others, by method.",
        ),
        "pareto": (
            pareto_figure(counted),
            "Accuracy and interpretability",
            "Each run on the data set that most runs have; none beats those of the front in both.",
        ),
    }
    for name, (figure, title, caption) in charts.items():
        if figure:
            pictures[name] = Picture(figure, title, caption)
        else:
            report.missing.append(f"{title}: not enough runs.")
    for kind in DATASETS:
        frame, _ = of_dataset(counted, kind)
        tell(f"atlas, {kind}")
        if not frame.empty:
            _draw_atlas(report, frame, kind, readings)
    caption = (
        "Computed: two filters that know GTG and CAC scan a sequence with three arrangements of "
        "these words, and their maps are max-pooled (white ticks: where the filters fire). With a "
        "small pool a second layer can tell the arrangements apart, with a large one it cannot."
    )
    pictures["fig1"] = Picture(toy_figure(), "Fig 1. Toy model", caption)
    for name, (kind, layers) in PANELS.items():
        tell(name)
        _draw_panel(report, counted, name, kind, layers, readings)
    if networks:
        layers = tuple((arch, 1) for arch in networks)
        for kind in DATASETS:
            name = f"networks_{kind.replace(' ', '_')}"
            _draw_panel(report, counted, name, kind, layers, readings)


def _draw_atlas(report: Report, frame: pandas.DataFrame, kind: str, readings: Readings) -> None:
    trials: dict[str, list[tuple[int, str, LayerReading]]] = {}
    relevant: Mapping[str, Sequence[str]] = {}
    for arch in POOLS:
        for _, row in pool(frame, arch, "conv1/match_jaspar").runs.iterrows():
            try:
                reading = readings.load(row, "conv1")
                relevant = relevant or results.relevant(row)
            except UserError as error:
                report.note_unreadable(str(error))
                continue
            trials.setdefault(arch, []).append((int(row["seed"]), str(row["run_id"]), reading))
    motifs = truth_of(relevant)
    if not (trials and motifs):
        report.missing.append(f"Atlas, {kind} sequences: no run with filters.")
        return
    atlas = make_atlas(trials, relevant, motifs)
    report.atlases[kind] = atlas
    title = f"Filter atlas, {kind} sequences"
    caption = (
        "For each factor the best matching first-layer filter of each network, over all trials, "
        "turned and shifted onto the factor's motif, whose columns are shaded. Above: E-value."
    )
    report.pictures[f"atlas_{kind.replace(' ', '_')}"] = Picture(
        atlas_figure(atlas), title, caption
    )


def _draw_panel(
    report: Report,
    counted: pandas.DataFrame,
    name: str,
    kind: str,
    layers: Sequence[tuple[str, int]],
    readings: Readings,
) -> None:
    frame, _ = of_dataset(counted, kind)
    title = TITLES.get(name, f"First-layer filters, {kind} sequences")
    deepest = max(number for _, number in layers)
    blocks: list[Block] = []
    absent: list[str] = []
    relevant: Mapping[str, Sequence[str]] = {}
    for arch, number in layers:
        metric = f"conv{deepest if len({arch for arch, _ in layers}) == 1 else number}/match_jaspar"
        runs = pool(frame, arch, metric).runs
        if runs.empty:
            absent.append(printed_name(arch))
            continue
        row, layer = runs.iloc[0], f"conv{number}"
        try:
            reading = readings.load(row, layer)
            relevant = relevant or results.relevant(row)
        except UserError as error:
            report.note_unreadable(str(error))
            continue
        shown = f"{printed_name(arch)}, {layer}" if deepest > 1 else printed_name(arch)
        blocks.append(Block(shown, reading))
    without = f" Without runs: {', '.join(dict.fromkeys(absent))}." if absent else ""
    if not blocks:
        report.missing.append(f"{title}: no runs.{without}")
        return
    truth = list(truth_of(relevant).values())
    strip = "Ground truth" if kind == SYNTHETIC else "Motifs of the factors"
    figure = panel_figure(
        blocks, relevant, jaspar(), truth, "", f"{strip}, and below each its reverse complement"
    )
    caption = (
        "Logos (0 to 2 bits) of all filters of the trial with the lowest seed, those that match a "
        "relevant motif first. Above a filter its best match: bold if relevant, grey if not."
    )
    report.pictures[name] = Picture(figure, title, caption + without)


def truth_of(relevant: Mapping[str, Sequence[str]]) -> dict[str, Motif]:
    """Return class -> the motif that stands for it: the paper's, else the first relevant one."""
    planted = {factor.name: factor.jaspar_id for factor in FACTORS}
    found = {}
    for name in relevant:
        fitting = [motif for motif in jaspar() if name in classes_of(motif.id, relevant)]
        if fitting:
            first = [motif for motif in fitting if motif.id == planted.get(name)]
            found[name] = (first or fitting)[0]._replace(name=name)
    return found
