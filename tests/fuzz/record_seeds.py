"""Small valid records of runs, of which the fuzzer changes one."""

import json
import re
import tempfile
from pathlib import Path

from seeds import Files, meme


def spec() -> Files:
    """A spec as a run stores it."""
    from mlproject.architectures import make_spec

    return {"words": json.dumps(make_spec({"arch": "CNN-2", "seed": 3}).flat()).encode()}


def scan() -> Files:
    """A kept scan of motifs."""
    from mlproject.data.synthetic import generate
    from mlproject.run.baseline import cached_pwm_scan

    with tempfile.TemporaryDirectory() as folder:
        cached_pwm_scan(generate(0, 20, 130), Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def journal(first: str = "journal.jsonl", checked: bool = True) -> Files:
    """A run's record of one entry of each kind, without checksums as earlier versions wrote it."""
    from mlproject.store.journal import DELIVERED, ORIGIN, Journal

    with tempfile.TemporaryDirectory() as folder:
        record = Journal(Path(folder) / "a")
        record.own("here 1 2 3")
        record.append("params", values={"pool1": "25"})
        record.append("tags", values={"mlproject.arch": "CNN-25"})
        record.append("metrics", values={"val_loss": 0.5}, step=1, time=1_700_000_000_000)
        record.append("artifact", path="spec.json")
        record.append("tag_other", run_id="0" * 32, key="a", value="b")
        record.append("status", status="FINISHED", time=1_700_000_000_001)
        record.set_origin({"store": "sqlite:///a.db", "experiment": "0"})
        record.mark_delivered(record.entries()[1])
        names = ("journal.jsonl", DELIVERED, ORIGIN, "owner")
        found = {name: (record.folder / name).read_bytes() for name in names}
    if not checked:
        found["journal.jsonl"] = re.sub(rb', "check": "[0-9a-f]+"', b"", found["journal.jsonl"])
    return {first: found.pop(first), **found}


def exported(first: str = "run.json") -> Files:
    """A run as `export` writes it."""
    from mlproject.architectures import make_spec
    from mlproject.store.exchange.folder import write
    from mlproject.store.transfer import RecordedRun, Value

    spec, data = make_spec({"arch": "CNN-2"}), "ab" * 32
    tags = {
        "mlproject.spec": json.dumps(spec.flat(), sort_keys=True),
        "mlproject.spec_sha256": spec.spec_sha256(data),
        "mlproject.train_sha256": spec.train_sha256(data),
        "mlproject.dataset_sha256": data,
        "mlproject.arch": "CNN-2",
    }
    inputs = [{"context": "train", "digest": "abab", "name": "x", "profile": "", "source": "{}"}]
    values = [Value("val_loss", step, 1_700_000_000_000 + step, 0.5 / step) for step in (1, 2, 3)]
    files = {"filters/conv1.meme": meme()["a.meme"], "history.csv": b"epoch,loss\n1,0.5\n"}
    run = RecordedRun(
        "0" * 32, "CNN-2", 1_700_000_000_000, 1_700_000_001_000, tags, {"arch": "CNN-2"}, inputs,
        values, files,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / spec.spec_sha256(data)[:16]
        write(root, run)
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        found = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    return {first: found.pop(first), **found}
