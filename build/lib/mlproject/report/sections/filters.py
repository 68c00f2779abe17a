"""Logos of filters: the paper's figures, networks side by side, and the atlas."""

from collections.abc import Iterator, Mapping, Sequence

from mlproject.architectures import printed_name
from mlproject.data.paper import FACTORS
from mlproject.draw.panels import Block, panel_figure
from mlproject.filters.reading import LayerReading, classes_of
from mlproject.motifs.pwm import Motif
from mlproject.report.atlas import atlas_figure, make_atlas
from mlproject.report.content import Content
from mlproject.report.document import Missing, Picture
from mlproject.report.published import DATASETS, IN_VIVO, SYNTHETIC
from mlproject.report.registry import section
from mlproject.report.sections.charts import POOLS
from mlproject.report.trials import OTHER, dataset_kinds, of_dataset, trials

Layers = Sequence[tuple[str, int]]
PANELS: Mapping[str, tuple[str, Layers, str]] = {
    "fig2": (
        SYNTHETIC,
        (("CNN-2", 1), ("CNN-4", 1), ("CNN-25", 1)),
        "Fig 2. First-layer filters for three pool sizes",
    ),
    "fig3": (
        SYNTHETIC,
        (("CNN9-4", 1), ("CNN9-25", 1), ("CNN-50-2", 1), ("CNN19-1-2", 1)),
        "Fig 3. First-layer filters of alternative networks",
    ),
    "fig4": (
        IN_VIVO,
        (("CNN-2", 1), ("CNN-4", 1), ("CNN-25", 1)),
        "Fig 4. First-layer filters for three pool sizes, in vivo sequences",
    ),
    "figS1": (
        SYNTHETIC,
        (("CNN-1", 1), ("CNN-1", 2)),
        "S1 Fig. Filters of the first and the second layer",
    ),
    "figS2": (
        IN_VIVO,
        (("CNN-1", 1), ("CNN-1", 2)),
        "S2 Fig. Filters of the first and the second layer, in vivo sequences",
    ),
}


@section(150, "atlas", drawn=True)
def atlas(content: Content) -> Iterator[Picture | Missing]:
    """Draw the atlas of each kind of data set."""
    for dataset in (*DATASETS, OTHER):
        if not of_dataset(content.counted, dataset)[0].empty:
            found = atlas_picture(content, dataset)
            if dataset != OTHER or isinstance(found, Picture):
                yield found


@section(170, "filters", drawn=True)
def first_layers(content: Content) -> Iterator[Picture | Missing]:
    """Draw the paper's figures of first-layer filters."""
    if all(of_dataset(content.counted, kind)[0].empty for kind in DATASETS) and len(
        content.counted
    ):
        return
    for name in ("fig2", "fig3", "fig4"):
        yield panel_picture(content, name, *PANELS[name])


@section(171, "deeper", drawn=True)
def second_layers(content: Content) -> Iterator[Picture | Missing]:
    """Draw the paper's figures of filters in two layers."""
    for name in ("figS1", "figS2"):
        yield panel_picture(content, name, *PANELS[name])


@section(172, "filters", drawn=True)
def requested_networks(content: Content) -> Iterator[Picture | Missing]:
    """Draw the networks of the request side by side, for each kind of data set."""
    if content.request.networks:
        layers = tuple((arch, 1) for arch in content.request.networks)
        kinds = [kind for kind in (*DATASETS, OTHER) if kind in set(dataset_kinds(content.counted))]
        for dataset in kinds or DATASETS[:1]:
            name = f"networks_{dataset.replace(' ', '_')}"
            title = f"First-layer filters, {dataset} sequences"
            yield panel_picture(content, name, dataset, layers, title)


def atlas_picture(content: Content, dataset: str) -> Picture | Missing:
    """Return the atlas of a kind of data set."""
    frame, _ = of_dataset(content.counted, dataset)
    readings: dict[str, list[tuple[int, str, LayerReading]]] = {}
    relevant: Mapping[str, Sequence[str]] = {}
    known: dict[str, Motif] = {}
    for arch in POOLS:
        for _, run in trials(frame, arch, "conv1/match_jaspar").runs.iterrows():
            if found := content.filters(run, "conv1"):
                relevant = relevant or found[1]
                known |= content.targets(run)
                place = int(run["seed"]), str(run["run_id"]), found[0]
                readings.setdefault(arch, []).append(place)
    motifs = truth_of(relevant, list(known.values()))
    if not (readings and motifs):
        return Missing(f"Atlas, {dataset} sequences: no run with filters.")
    made = make_atlas(dataset, readings, relevant, motifs)
    caption = (
        "For each factor the best matching first-layer filter of each network, over all trials, "
        "turned and shifted onto the factor's motif, whose columns are shaded. Above: E-value."
    )
    title = f"Filter atlas, {dataset} sequences"
    name = f"atlas_{dataset.replace(' ', '_')}"
    return Picture(name, atlas_figure(made), title, caption, made)


def panel_picture(
    content: Content, name: str, dataset: str, layers: Layers, title: str
) -> Picture | Missing:
    """Return the filters of some layers side by side.

    Args:
        content: the loaded runs.
        name: of the picture.
        dataset: kind of the data set.
        layers: (network, number of the layer), from left to right.
        title: of the picture.
    """
    frame, _ = of_dataset(content.counted, dataset)
    deepest = max(number for _, number in layers)
    one_network = len({arch for arch, _ in layers}) == 1
    blocks: list[Block] = []
    absent: list[str] = []
    relevant: Mapping[str, Sequence[str]] = {}
    known: dict[str, Motif] = {}
    for arch, number in layers:
        metric = f"conv{deepest if one_network else number}/match_jaspar"
        runs = trials(frame, arch, metric).runs
        if runs.empty:
            absent.append(printed_name(arch))
        elif found := content.filters(runs.iloc[0], f"conv{number}"):
            relevant = relevant or found[1]
            known |= content.targets(runs.iloc[0])
            label = f"{printed_name(arch)}, conv{number}" if deepest > 1 else printed_name(arch)
            blocks.append(Block(label, found[0]))
    without = f" Without runs: {', '.join(dict.fromkeys(absent))}." if absent else ""
    if not blocks:
        return Missing(f"{title}: no runs.{without}")
    strip = "Ground truth" if dataset == SYNTHETIC else "Motifs of the factors"
    targets = list(known.values())
    figure = panel_figure(
        blocks, relevant, targets, list(truth_of(relevant, targets).values()), "",
        f"{strip}, and below each its reverse complement",
    )  # fmt: skip
    caption = (
        "Logos (0 to 2 bits) of all filters of the trial with the lowest seed, those that match a "
        "relevant motif first. Above a filter its best match: bold if relevant, grey if not."
    )
    return Picture(name, figure, title, caption + without)


def truth_of(relevant: Mapping[str, Sequence[str]], targets: Sequence[Motif]) -> dict[str, Motif]:
    """Return the motif of each class: the paper's, else the first relevant target."""
    planted = {factor.name: factor.jaspar_id for factor in FACTORS}
    found = {}
    for name in relevant:
        fitting = [motif for motif in targets if name in classes_of(motif.id, relevant)]
        if fitting:
            first = [motif for motif in fitting if motif.id == planted.get(name)]
            found[name] = (first or fitting)[0]._replace(name=name)
    return found
