"""The statements of the paper, each as a difference that is above 0 if the statement holds."""

from typing import NamedTuple

from mlproject.report.published import DATASETS, IN_VIVO, SYNTHETIC

SMALL = ("CNN-1", "CNN-2", "CNN-4")
LARGE = ("CNN-10", "CNN-25", "CNN-50", "CNN-100")
HARD = ("Arid3a", "SP1", "STAT1")


class Side(NamedTuple):
    """One side of a comparison: the mean of a metric over some networks."""

    archs: tuple[str, ...]
    metric: str


class Statement(NamedTuple):
    """A sentence of the paper; `high` less `low` is above 0 if the sentence holds."""

    text: str
    dataset: str
    high: Side
    low: Side


RELEVANT = "conv1/match_relevant"
STATEMENTS = (
    *(
        Statement(
            "Large pools (10 to 100) give localist representations, small ones (1 to 4) "
            "distributed: more filters match relevant motifs.",
            dataset,
            Side(LARGE, RELEVANT),
            Side(SMALL, RELEVANT),
        )
        for dataset in DATASETS
    ),
    Statement(
        "The share of relevant matches falls from 30 to 120 filters.",
        SYNTHETIC,
        Side(("CNN-25",), RELEVANT),
        Side(("CNN-25x120",), RELEVANT),
    ),
    Statement(
        "Small filters (9 nt) learn motifs too, if the pool is large.",
        SYNTHETIC,
        Side(("CNN9-25",), RELEVANT),
        Side(("CNN9-4",), RELEVANT),
    ),
    Statement(
        "A filter of 3 nt keeps its AUROC with a small pool and loses it with a large one.",
        SYNTHETIC,
        Side(("CNN3-2",), "test_auroc"),
        Side(("CNN3-50",), "test_auroc"),
    ),
    Statement(
        "A large pool window with a small stride gives localist representations.",
        SYNTHETIC,
        Side(("CNN-50-2",), RELEVANT),
        Side(("CNN-2",), RELEVANT),
    ),
    Statement(
        "Second filters of width 1 make the first layer learn whole motifs.",
        SYNTHETIC,
        Side(("CNN19-1-2",), RELEVANT),
        Side(("CNN-2",), RELEVANT),
    ),
    *(
        Statement(
            "Distributed first layers build whole motifs in the second.",
            dataset,
            Side(("CNN-1",), "conv2/match_relevant"),
            Side(("CNN-1",), RELEVANT),
        )
        for dataset in DATASETS
    ),
    Statement(
        "Whole motifs are built in the layer before the large pool, here the third.",
        SYNTHETIC,
        Side(("CNN-1-1-100",), "conv3/match_relevant"),
        Side(("CNN-1-1-100",), "conv2/match_relevant"),
    ),
    *(
        Statement(
            f"In vivo, {name} rises from 30 to 120 filters.",
            IN_VIVO,
            Side(("CNN-25x120",), metric),
            Side(("CNN-25",), metric),
        )
        for metric, name in (("test_auroc", "AUROC"), ("test_aupr", "AUPR"))
    ),
    *(
        Statement(
            f"In vivo, distributed networks (pool 1 to 4) do slightly better: {name}.",
            IN_VIVO,
            Side(SMALL, metric),
            Side(LARGE, metric),
        )
        for metric, name in (("test_auroc", "AUROC"), ("test_aupr", "AUPR"))
    ),
)
