"""Write docs/troubleshooting.md with every message of the code: ``python docs/troubleshooting.py``."""

# ruff: noqa: E501

import ast
from pathlib import Path

PAGE = Path(__file__).with_suffix(".md")
ERRORS = ("UserError", "HeldError")
SOURCE = Path(__file__).parents[1] / "src" / "mlproject"
HEAD = """<!-- written by `python docs/troubleshooting.py`, do not edit -->
# Troubleshooting

A mistake that the user can correct ends with one line and exit code 2: the rule, the value received, the correction. Exit code 1 means that the
command did not finish: it was interrupted, some cells of a sweep failed, or `doctor` or `sync` found something wrong. A traceback is a bug of this project: please report it.

## Symptoms

| symptom | cause | what to do |
|---|---|---|
| `make run` says that Python 3.11, 3.12 or 3.13 is needed | another version is the default | `make PYTHON=/path/to/python3.12 run` |
| `mlflow run .` says `No such file or directory: 'pyenv'` | MLflow builds its own environment with pyenv or conda | add `--env-manager local` after `. .venv/bin/activate` |
| something does not work, and it is unclear what | | `python -m mlproject doctor` checks versions, device, store, disk, threads and extras, and says what to do |
| the MLflow page shows no runs | the UI opened its GenAI page, or another store | open an address that `make ui` prints, or choose the experiment under *Model training*; start `make ui` in the folder of `mlflow.db`, or set `MLFLOW_TRACKING_URI` |
| a run stays RUNNING | its process was lost | `python -m mlproject sync` ends it as KILLED; `-P resume=RUN` resumes it |
| `sync` says `1 still lacks something` | the tracking server refused or did not answer | start the server again, then `python -m mlproject sync`; its output names each run and the reason |
| training is slow | several processes share the cores | `--threads`, or fewer `--workers`; compare with [benchmarks](../benchmarks/README.md) |
| two runs with equal parameters differ in the last digits | another backend, number of threads or processor | compare the tags `mlproject.backend`, `mlproject.threads`, `mlproject.device` |
| early stopping takes epoch 1 | few sequences: the moving averages of batch norm lag behind the weights | `-P bn_averages=measured` ([why](runs.md#warnings)), `-P bn_momentum=0.9`, larger `patience`, or more data |
| no filter matches | the first max-pool is small, or JASPAR 2016 has no motif of the factor | `-P pool1=25`, or `-P motifs=jaspar2026`; the card also shows planted sites and importance, which need no database |
| `note: ... left out` while a data set is made | the genome lacks a contig, a peak lies past its end, or the blacklist covers it | nothing, if the count is small; else check that genome and peaks are of one assembly |

## Messages

Every message of the code, by part of the program. `…` stands for a name, value or reason.
"""
TITLES = {
    "spec": "Parameters", "fields": "Parameters", "parameters": "Parameters", "architectures": "Parameters", "names": "Parameters",
    "geometry": "Parameters", "sequence": "Data sets", "data": "Data sets", "motifs": "Motif files",
    "network": "Training", "filters": "Filters", "attribution": "Attributions", "draw": "Figures",
    "store": "Runs and the tracking store", "results": "Runs and the tracking store",
    "run": "A run", "report": "Reports", "sweeps": "Sweeps", "commands": "Command line",
    "system": "Files, devices and processes",
}  # fmt: skip


def _pattern(node: ast.expr) -> str | None:
    """Return the text of a message with its values as ``…``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_pattern(one) or "…" for one in node.values)
    if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Call):
        return _pattern(node.value)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "quantity":
        one, *many = (_pattern(word) or "" for word in node.args[1:])
        return f"… {many[0] if many else one + 's'}"
    if isinstance(node, ast.BinOp):
        left, right = _pattern(node.left), _pattern(node.right)
        return f"{left or '…'}{right or '…'}"
    return None


def messages() -> dict[str, list[str]]:
    """Return the messages of all `ERRORS` by section of the page."""
    found: dict[str, list[str]] = {title: [] for title in TITLES.values()}
    for path in sorted(SOURCE.rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
                text = _pattern(node.args[0]) if node.args else None
                if text and sum(map(str.isalpha, text)) > 12:
                    found[TITLES[room]].append(text)
    return found


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for title, texts in messages().items():
        if texts:
            lines = "\n".join(f"- {text}" for text in sorted(set(texts), key=str.lower))
            parts.append(f"\n### {title}\n\n{lines}\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
