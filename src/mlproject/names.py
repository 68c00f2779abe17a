"""Names in the tracking store: tags, metrics, artifacts, and the parts that come from class names.

Users, reports and stored runs rely on them: a name in this module never changes.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

from mlproject.system.errors import UserError

LONGEST = 150
"""Most characters of a class name: a metric's name has 250 in MLflow, its other parts up to 100."""


def tag(name: str) -> str:
    """Return the full name of one of this project's tags: ``arch`` gives ``mlproject.arch``."""
    return f"mlproject.{name}"


def is_project_tag(name: str) -> bool:
    """Return whether a tag is one of this project's."""
    return name.startswith("mlproject.")


class Tag:
    """Names of tags."""

    ARCH = tag("arch")
    PROTOCOL = tag("protocol")
    SPEC = tag("spec")
    SPEC_SHA256 = tag("spec_sha256")
    TRAIN_SHA256 = tag("train_sha256")
    DATASET_SHA256 = tag("dataset_sha256")
    ARTIFACT_SHA256 = tag("artifact_sha256")  # JSON, path -> hash, of artifacts that are reused
    METRIC_VERSION = tag("metric_version")
    BACKEND = tag("backend")
    DEVICE = tag("device")
    THREADS = tag("threads")
    DEVICE_FAULTS = tag("device_faults")
    TRAINING_PASS = tag("training_pass")  # `fast` or `model`
    COMMIT = "mlflow.source.git.commit"
    GIT_DIRTY = tag("git.dirty")
    PROCESS = tag("process")
    HEARTBEAT = tag("heartbeat")
    MARK = tag("mark")
    FAILURE = tag("failure")
    REFUSED = tag("refused")
    PARENT = "mlflow.parentRunId"
    RESUMES = tag("resumes")
    RESUMED_BY = tag("resumed_by")
    WEIGHTS_OF = tag("weights_of")
    RECREATED_FROM = tag("made_anew_of")
    IMPORTED = tag("imported")
    IMPORTED_SHA256 = tag("imported_sha256")
    INTERPRETS = tag("interprets")
    MEAN_OF = tag("mean_of")  # ids of the runs whose attributions a run averages
    SWEEP = tag("sweep")
    SWEEP_KIND = tag("sweep_kind")
    SWEEP_PLACE = tag("sweep_place")  # user, machine and folder of the sweep's last driver
    TASK = tag("task")
    TRIAL = tag("trial")
    TRIAL_STATE = tag("trial_state")
    PROGRESS = tag("progress")
    CONTINUED_BY = tag("went_on_with")
    FILTERS_LEFT_OUT = tag("filters_left_out")
    ATTRIBUTIONS = tag("attributions")
    REPORT = tag("report")
    EMBEDDING = tag("embedding")
    MODEL = tag("model")  # of a logged model: `model` or `dna`

    @staticmethod
    def attributions(method: str) -> str:
        """Return the tag that describes the sequences that a method attributed."""
        return f"{Tag.ATTRIBUTIONS}.{method}"


class Metric:
    """Names of metrics that several modules use."""

    BEST_EPOCH = "best_epoch"
    BEST_VAL_LOSS = "best_val_loss"
    TEST_LOSS = "test_loss"
    TEST_AUROC = "test_auroc"
    TEST_AUPR = "test_aupr"
    TEST_AP = "test_ap"
    TEST_ACCURACY = "test_accuracy"
    ACHIEVABLE = "achievable/test_"  # by the best prediction from the sequence alone
    TIME = "time/"
    TIME_EPOCH = "time/epoch"
    TIME_TRAIN = "time/train"
    TIME_INTERPRET = "time/interpret"
    TIME_TRACKING = "time/tracking"
    TIME_TOTAL = "time/total"
    TIME_CPU = "time/cpu"


class Artifact:
    """Paths of artifacts."""

    SPEC = "spec.json"
    MODEL_FILE = "model.py"
    NETWORK = "network.json"  # of a model that a function made: its layers, without weights
    HISTORY = "history.csv"
    PER_CLASS = "test_per_class.csv"
    BASELINE = "baseline.csv"
    PREDICTIONS = "test_predictions.bed"  # of data from a genome
    WEIGHTS = "weights/best.weights.h5"
    WEIGHTS_FOLDER = "weights"
    STATE = "state/state.h5"  # an interrupted run is resumed from it
    KERNELS = "filters/first_kernels.npz"  # after each epoch
    CARD = "card.html"
    ATLAS = "atlas.html"  # of a sweep
    COMPARISON = "compare.html"  # of a sweep
    TARGETS = "filters/targets.meme"  # of MEME files in `motifs`: those matched or relevant
    FILTERS = "filters/"  # followed by a layer: ``filters/conv1_truth.csv``
    ATTRIBUTIONS = "attributions/"  # followed by a method: ``attributions/saliency.h5``
    PATTERNS = "attributions/modisco.meme"
    PATTERN_MATCHES = "attributions/modisco_matches.tsv"
    EMBEDDING = "embedding/"  # followed by a table: ``embedding/effects.csv``
    PLOTS = "plots/"

    @staticmethod
    def examples(method: str) -> str:
        """Return the path of the contributions in a few sequences, as text."""
        return f"{Artifact.ATTRIBUTIONS}{method}_examples.csv"


def metric_name(name: str) -> str:
    """Return a class name in the letters that a metric name may have: ``A-Za-z0-9_.-``.

    Every other character becomes ``_``; so do dots with nothing else, which would mean folders.
    """
    reduced = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return reduced if reduced.strip(".") else "_" * max(1, len(reduced))


def metric_names(classes: Iterable[str]) -> list[str]:
    """Return the metric names of classes.

    Raises:
        UserError: two classes would share one.
    """
    owners: dict[str, str] = {}
    for name in classes:
        reduced = metric_name(name)
        if reduced in owners:
            raise UserError(
                f"class names must differ in A-Za-z0-9_.-, of which metric names are made: got "
                f"{owners[reduced]!r} and {name!r}, both {reduced}; rename one"
            )
        owners[reduced] = name
    return list(owners)


def check_classes(classes: Sequence[object]) -> None:
    """Raise a `UserError` for class names under which results could not be recorded."""
    names = [name for name in classes if isinstance(name, str) and name.strip()]
    if len(set(names)) != len(classes) or not names:
        raise UserError(f"`classes` must have names that differ: got {str(list(classes))[:200]}")
    for name in names:
        if len(name) > LONGEST or not name.isprintable():
            raise UserError(
                f"a class name must be one line of at most {LONGEST} characters: "
                f"got {len(name)}, {name[:40]!r}"
            )
    composed: dict[str, str] = {}
    for name in names:
        if (other := composed.setdefault(unicodedata.normalize("NFC", name), name)) != name:
            raise UserError(
                f"class names must differ in more than the form of their accents: got {other!r} "
                f"and {name!r}, {ascii(other)[:80]} and {ascii(name)[:80]}; write them alike"
            )
    metric_names(names)


def distinct(names: Sequence[str], key: Callable[[str], str] = str) -> list[str]:
    """Return names, with ``_`` added to each whose key an earlier one has."""
    found: dict[str, str] = {}
    for name in names:
        own = name
        while key(own) in found:
            own += "_"
        found[key(own)] = own
    return list(found.values())


def classes_of(target_id: str, relevant: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the classes that a target is relevant for.

    Args:
        target_id: such as ``MA0466.2``.
        relevant: class -> ids; one without a version (``MA0466``) stands for every version.
    """
    names = {target_id, target_id.partition(".")[0]}
    return tuple(name for name, ids in relevant.items() if names.intersection(ids))


def motif_names(ids: Sequence[str], relevant: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a name for each planted motif: its class if no other motif is of that class alone."""
    owners = [classes_of(identifier, relevant) for identifier in ids]
    names = [own[0] if len(own) == 1 else "" for own in owners]
    return [
        name if name and names.count(name) == 1 else identifier
        for name, identifier in zip(names, ids, strict=True)
    ]
