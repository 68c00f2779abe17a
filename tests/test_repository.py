"""The repository agrees with itself: versions, commands, documents, imports."""

import ast
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from mlflow.projects._project_spec import load_project
from mlflow.utils.environment import _PythonEnv

from mlproject.architectures import ARCHITECTURES, PROTOCOLS
from mlproject.commands.cli import cli
from mlproject.commands.dataset import dataset
from mlproject.data import read
from mlproject.data.split import SPLITS
from mlproject.parameters import field_info

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "mlproject"
DOCUMENTS = ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
TEXTS = {".py", ".md", ".txt", ".toml", ".yaml", ".yml", ".ipynb", ""}
ROOMS = (
    "system names __init__",
    "geometry sequence fields spec parameters architectures",
    "motifs",
    "data",
    "network",
    "filters",
    "attribution",
    "insilico",
    "draw",
    "store",
    "results",
    "run",
    "report",
    "sweeps",
    "commands",
    "__main__",
)
DATASET_OPTIONS = {
    option.name for kind in dataset.commands.values() for option in kind.params if option.name
}


def _pins(text: str) -> dict[str, str]:
    found = re.findall(r"^\s*(?:- )?([A-Za-z0-9_.\[\]-]+)==([^\s;]+)", text, re.MULTILINE)
    return {re.sub(r"\[.*\]", "", name).lower(): version for name, version in found}


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_conda_yaml_has_the_versions_of_requirements_txt_and_no_others() -> None:
    wanted = _pins(_read("requirements.txt")) | _pins(_read("requirements-cuda.txt"))
    assert _pins(_read("conda.yaml")) == wanted
    cpu = _pins(_read("requirements-cpu.txt"))
    assert set(cpu.values()) == {wanted["tensorflow"]}


def test_the_image_installs_the_versions_of_the_requirements() -> None:
    assert f"jax[cuda12]=={_pins(_read('requirements-cuda.txt'))['jax']}" in _read("Dockerfile")


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("hadolint is missing here")
    subprocess.run([program, "--no-color", str(ROOT / "Dockerfile")], check=True)


def test_constraints_fix_every_requirement_at_its_version() -> None:
    fixed = _pins(_read("constraints.txt"))
    files = ("requirements.txt", "requirements-dev.txt", "requirements-docs.txt")
    wanted = {name: pin for file in files for name, pin in _pins(_read(file)).items()}
    assert wanted.items() <= fixed.items()


def test_optional_extras_are_fixed_in_the_constraints_and_are_no_requirements() -> None:
    extras = tomllib.loads(_read("pyproject.toml"))["project"]["optional-dependencies"]
    assert set(extras) == {"gp", "modisco", "tensorflow", "cuda"}
    backends = _pins(_read("requirements.txt")) | _pins(_read("requirements-cuda.txt"))
    for name in ("tensorflow", "cuda"):
        assert _pins("\n".join(extras.pop(name))).items() <= backends.items()
    for lines in extras.values():
        pins = _pins("\n".join(lines))
        assert len(pins) == len(lines)
        assert pins.items() <= _pins(_read("constraints.txt")).items()
        assert not pins.keys() & _pins(_read("requirements.txt")).keys()


def test_mlflow_reads_python_and_all_packages_from_conda_yaml() -> None:
    environment = _PythonEnv.from_conda_yaml(str(ROOT / "conda.yaml"))
    assert environment.python == "3.12"
    assert environment.build_dependencies == ["pip"]
    assert len(environment.dependencies) == len(_pins(_read("requirements.txt"))) + 2
    with_cuda = [line for line in environment.dependencies if "and-cuda" in line]
    assert with_cuda == [
        f"tensorflow[and-cuda]=={_pins(_read('requirements-cuda.txt'))['tensorflow']}; "
        'sys_platform == "linux" and platform_machine == "x86_64"'
    ]


def test_entry_points_of_mlproject_are_commands_with_their_parameters() -> None:
    project = load_project(ROOT)
    assert project.env_config_path == str(ROOT / "conda.yaml")
    names = yaml.safe_load(_read("MLproject"))["entry_points"]
    assert {"main", "dataset"} <= set(names)
    for name in names:
        entry = project.get_entry_point(name)
        words = entry.command.split()
        assert words[:2] == ["python", "src"]
        assert words[2] in cli.commands
        for parameter in entry.parameters:
            assert "{" + parameter + "}" in entry.command, "MLflow would drop it without a word"
    command = project.get_entry_point("main").compute_command({"pool1": "25"}, None)
    assert command == "python src train --pool1 25"


def test_nothing_is_called_mlproject_beside_mlproject() -> None:
    assert [path.name for path in ROOT.iterdir() if path.name.lower() == "mlproject"] == [
        "MLproject"
    ]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_and_parameters_in_documents_exist(document: str) -> None:
    text = _read(document)
    for name in re.findall(r"python (?:-m mlproject|src) ([a-z]+)", text):
        assert name in cli.commands, name
    for name, value in re.findall(r"-P ([A-Za-z0-9_]+)=(\S*[^\s`.,)])", text):
        if name == "arch":
            assert value in ARCHITECTURES or value == "…", value
        elif name == "protocol":
            assert value in PROTOCOLS
        else:
            extra = {"NAME", "resume", "backend", "kind", "plan", "out", "run", "method"}
            assert field_info(name) or name in extra | DATASET_OPTIONS, name
    targets = set(re.findall(r"^([a-z]+):", _read("Makefile"), re.MULTILINE))
    for name in re.findall(r"`make ([a-z]+)", text):
        assert name in targets, name
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / document).parent / link).exists(), link


@pytest.mark.parametrize("name", ["parameters", "troubleshooting"])
def test_a_page_made_of_the_code_is_what_its_script_writes(name: str) -> None:
    page = runpy.run_path(str(ROOT / "docs" / f"{name}.py"))["page"]
    assert _read(f"docs/{name}.md") == page(), f"run `python docs/{name}.py`"


def test_the_readme_is_short_and_the_index_links_every_page() -> None:
    assert len(_read("README.md").split()) <= 900
    index = _read("docs/README.md")
    for document in DOCUMENTS:
        name = document.removeprefix("docs/")
        assert f"]({name})" in index or name == "README.md", name


def _imports(path: Path, whole: bool = True) -> set[str]:
    """Return the imported modules, with or without those that functions import."""
    found: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if whole else tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner if node.module == "mlproject" else {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_room_imports_only_from_rooms_above_itself() -> None:
    order = {name: number for number, room in enumerate(ROOMS) for name in room.split()}
    for path in sorted(PACKAGE.rglob("*.py")):
        own = _room(path)
        for name in _imports(path):
            if name.startswith("mlproject."):
                other = name.split(".")[1]
                assert order[other] <= order[own], f"{own} imports {other}"


def test_only_the_store_imports_mlflow_and_filters_and_sweeps_never_import_keras() -> None:
    for path in PACKAGE.rglob("*.py"):
        roots = {name.split(".")[0] for name in _imports(path)}
        assert "mlflow" not in roots or _room(path) == "store", path
    for room, whole in (("filters", True), ("insilico", True), ("sweeps", False)):
        for path in (PACKAGE / room).rglob("*.py"):
            roots = {name.split(".")[0] for name in _imports(path, whole)}
            assert not roots & {"keras", "tensorflow", "jax", "mlflow"}, path


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from mlproject.commands.cli import cli\n"
        "try: cli.main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'mlflow', 'keras', 'tensorflow', 'jax', 'pandas', 'matplotlib', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_commands_that_need_no_network_load_no_keras() -> None:
    names = "report.recording", "report.living", "report.compare", "sweeps.run_plan", "results"
    code = (
        "import sys, importlib\n"
        f"for name in {names}: importlib.import_module('mlproject.' + name)\n"
        "assert not {'keras', 'tensorflow', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git checkout")
def test_no_file_names_the_machine_it_was_made_on() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stdout.split("\0")
    pattern = re.compile(r"/(?:root|home|work)/[a-z]")
    for name in listed:
        path = ROOT / name
        if path.suffix in TEXTS and path.is_file():
            assert not pattern.search(path.read_text(encoding="utf-8")), name


def test_the_file_that_docs_data_md_writes_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = re.findall(r"```python\n(.*?)```", _read("docs/data.md"), re.DOTALL)[0]
    rng = np.random.default_rng(0)
    codes = {split: rng.integers(0, 4, (5, 30), np.uint8) for split in SPLITS}
    labels = {split: rng.integers(0, 2, (5, 2), np.uint8) for split in SPLITS}
    monkeypatch.chdir(tmp_path)
    exec(code, {"codes": codes, "labels": labels})
    dataset = read(tmp_path / "my.h5")
    assert dataset.classes == ("CTCF", "GATA1")
    assert dataset.relevant == {"CTCF": ("MA0139",), "GATA1": ("MA0035",)}
    assert np.array_equal(dataset.test.codes, codes["test"])
