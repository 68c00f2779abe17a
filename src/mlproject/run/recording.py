"""What a run records at its start: tags, parameters, the spec, the data set."""

import json
from pathlib import Path

import keras
import numpy as np

from mlproject.architectures import arch_name, preset_names, protocol_name, trusted_file
from mlproject.data import Dataset
from mlproject.data.split import blocks
from mlproject.fields import VALUES
from mlproject.names import Artifact, Tag
from mlproject.run.context import RunContext
from mlproject.spec import RunSpec
from mlproject.store.liveness import METRIC_VERSION
from mlproject.system import environment, variables


def run_tags(spec: RunSpec, data: Dataset) -> dict[str, str]:
    """Return the tags of a run that trains a spec here."""
    backend = keras.backend.backend()
    return {
        Tag.ARCH: arch_name(spec),
        Tag.PROTOCOL: protocol_name(spec),
        Tag.SPEC: json.dumps(spec.flat(), sort_keys=True),
        Tag.SPEC_SHA256: spec.spec_sha256(data.sha256),
        Tag.TRAIN_SHA256: spec.train_sha256(data.sha256),
        Tag.DATASET_SHA256: data.sha256,
        Tag.BACKEND: f"{backend} {environment.backend_version(backend)}",
        Tag.DEVICE: environment.device(backend),
        Tag.THREADS: str(variables.thread_count()),
        Tag.METRIC_VERSION: METRIC_VERSION,
        **environment.git_tags(Path(__file__).parent),
    }


def record_inputs(context: RunContext) -> None:
    """Record the parameters, the spec and the splits of the data set."""
    spec, data, tracker = context.spec, context.data, context.tracker
    names = preset_names(spec)
    tracker.params({**names, **spec.columns()})
    text = json.dumps(spec.flat(), indent=2, sort_keys=True) + "\n"
    tracker.artifact(Artifact.SPEC, lambda path: path.write_text(text, encoding="utf-8"))
    if spec.model_sha256:
        own = trusted_file(spec).read_bytes()
        tracker.artifact(Artifact.MODEL_FILE, lambda path: path.write_bytes(own))
    contexts = {"train": "training", "valid": "validation", "test": "testing"}
    for split, (codes, labels, _) in data.splits.items():
        profile: dict[str, object] = {
            "sequences": len(codes),
            "length": data.length,
            "classes": len(data.classes),
            "relevant": dict(context.relevant),
        }
        if data.task in VALUES:
            profile["means"] = np.asarray(labels).mean(axis=0, dtype=np.float64).tolist()
        else:
            profile["positives"] = sum(int(block.sum()) for block in blocks(labels))
        if data.task != "binary":
            profile |= {"task": data.task, "units": list(data.units)}
        source = spec.dataset if not spec.generated else json.dumps(dict(data.provenance))
        name = f"{Path(spec.dataset).stem}-{split}"
        tracker.input(name, data.sha256, source, contexts[split], json.dumps(profile))
