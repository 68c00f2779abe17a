"""Execute the tutorials and keep what their cells show: ``python docs/notebooks.py [NAME...]``."""

import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent / "tutorials"


def executed(name: str, seconds: int | None = None) -> nbformat.NotebookNode:
    """Return a tutorial with the outputs of its cells, without messages and times.

    Args:
        name: of the notebook, such as ``own_peaks``.
        seconds: most for a cell; None: no limit.

    Raises:
        CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    with tempfile.TemporaryDirectory() as temporary:
        here = shutil.copytree(FOLDER, Path(temporary) / "tutorials")
        client = NotebookClient(notebook, timeout=seconds, resources={"metadata": {"path": here}})
        client.execute()
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def main() -> None:
    """Execute the named tutorials, or all, and write them with their outputs."""
    for name in sys.argv[1:] or [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]:
        nbformat.write(executed(name), FOLDER / f"{name}.ipynb")
        print(name)


if __name__ == "__main__":
    main()
