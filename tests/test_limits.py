"""Extreme numbers get one line before anything is trained; what a machine can do passes."""

from pathlib import Path

import pytest

from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.data.labelled import collect
from mlproject.data.synthetic import generate
from mlproject.data.table_rows import Options, read_rows
from mlproject.network.memory import check_memory, lacks_memory, least_bytes
from mlproject.parameters import field_info, field_names
from mlproject.report.published import published
from mlproject.system import memory
from mlproject.system.errors import UserError
from mlproject.system.memory import machine_bytes
from mlproject.system.numbers import whole_number

NUMBERS = [name for name in field_names() if (info := field_info(name)) and info.kind is not str]


@pytest.mark.parametrize(
    "value",
    ["9" * 10_000, "-" + "9" * 30, 10**400, -(10**5000), 2**63, "1e999", True, None, [10**5000]],
    ids=lambda value: f"{type(value).__name__}{len(value) if isinstance(value, str) else ''}",
)
@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_is_too_extreme_for_one_line(name: str, value: object) -> None:
    with pytest.raises(UserError) as caught:
        make_spec({"filters2": 8, "filters3": 8, "pool2": 1, "pool3": 1, name: value})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters1": 10**9}, "`filters1` must be less than or equal to 1000000: got 1000000000"),
        ({"units": 10**9}, "`units` must be less than or equal to 1000000"),
        ({"kernel1": 10**8}, "`kernel1` must be less than or equal to 1000000"),
        ({"window": 10**9}, "`window` must be less than or equal to 10000"),
        ({"dropout_dense": 0.99999999}, "`dropout_dense` must be less than or equal to 0.99"),
        ({"dropout_conv": 0.995}, "`dropout_conv` must be less than or equal to 0.99"),
        ({"beta1": 0.99999999}, "`beta1` must be less than or equal to 0.9999"),
        ({"bn_momentum": 0.99999999}, "`bn_momentum` must be less than or equal to 0.9999"),
        ({"bn_epsilon": 1e-300}, "`bn_epsilon` must be greater than or equal to 1e-30"),
        ({"adam_epsilon": 1e300}, "`adam_epsilon` must be less than or equal to 1000"),
        ({"l2": 1e300}, "`l2` must be less than or equal to 1000"),
        ({"layers": "conv" + "1" * 5000}, "`layers`"),
        ({"layers": "conv1,conv1"}, "`layers` must name each convolution once"),
        ({"arch": "C" * 100_000}, "unknown arch"),
    ],
)
def test_a_field_out_of_its_bounds_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_spec(options)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("arch", sorted(set(published()["arch"])))
def test_every_network_of_the_paper_fits_into_a_small_machine(
    arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: 4 * 10**9)
    check_memory(make_spec({"arch": arch}), 200, 12)
    check_memory(make_spec({"arch": arch}), 1000, 919)


@pytest.mark.parametrize(
    "options",
    [
        {"filters1": 10**6, "filters2": 10**6},
        {"units": 10**6, "filters2": 10**6},
        {"batch_size": 10**6, "filters1": 10**5, "pool1": 1},
    ],
)
def test_a_network_beyond_the_machine_is_refused_with_both_sizes(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: 64 * 10**9)
    with pytest.raises(UserError, match=r"needs at least \d+\.\d GB and the machine has 64.0 GB"):
        check_memory(make_spec(options), 200, 12)


def test_the_estimate_is_what_weights_and_maps_take() -> None:
    spec = make_spec(
        {"filters1": 2, "kernel1": 3, "pool1": 5, "filters2": 0, "units": 7, "batch_size": 1000}
    )
    parameters = 3 * 4 * 2 + 20 // 5 * 2 * 7 + 7 * 3
    maps = 2 * 1000 * (4 * 20 + 20 * 2 + 3)
    assert least_bytes(spec, 20, 3) == 4 * (5 * parameters + maps) + 8 * 5 * 2 * 19


def test_a_container_has_the_memory_of_its_limit(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path_factory.mktemp("cgroup") / "memory.max"
    monkeypatch.setattr(memory, "LIMITS", (str(limit),))
    whole = machine_bytes()
    for text, wanted in (("max\n", whole), ("1000000\n", 1_000_000)):
        limit.write_text(text, encoding="ascii")
        assert machine_bytes() == wanted


def test_data_beyond_the_machine_are_refused_before_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "machine_bytes", lambda: 1_000_000)
    with pytest.raises(UserError, match="generated data must fit into memory: needs at least"):
        generate(0, 10_000, 200)
    path, table = tmp_path / "a.fa", tmp_path / "a.tsv"
    path.write_text(">a\nACGT\n>b\nCCGT\n")
    table.write_text("sequence\ty\nACGT\t1\nCCGT\t2\n")
    rows = Options("sequence", ("y",), length=600_000, fit="centre")
    for read in (
        lambda: collect({"A": [path]}, [], 600_000, "centre", None),
        lambda: read_rows(table, rows),
    ):
        with pytest.raises(UserError, match=r"sequences must fit into memory.*smaller `length`"):
            read()


@pytest.mark.parametrize("text", ["GPU", "GPU=nan", "GPU=inf", "GPU=-1", "GPU=1e9", "=1", "GPU="])
def test_an_amount_of_a_resource_that_no_worker_has_is_refused(
    text: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "plan.yaml").write_text("base: {sequences: 50}")
    with pytest.raises(SystemExit, match="2"):
        main(["sweep", "plan.yaml", "--dry-run", "--resources", text])
    assert "`--resources` is written NAME=N, each name once: got " in capsys.readouterr().err


def test_a_filter_wider_than_the_sequences_is_refused() -> None:
    with pytest.raises(UserError, match="`kernel1` must not be wider than the sequences: got"):
        make_spec({"kernel1": 200}).map_lengths(101)
    with pytest.raises(UserError, match="got kernel2=300 on 200 nt"):
        make_spec({"kernel2": 300}).map_lengths(200)
    assert make_spec({"arch": "CNN-100"}).map_lengths(200) == [200, 2, 2]


def test_errors_without_memory_are_told_from_others() -> None:
    cuda = "INTERNAL: [0] There was an error (2): cudaErrorMemoryAllocation : out of memory"
    for text in ("RESOURCE_EXHAUSTED: 9130085376 bytes", "CUDA_ERROR_OUT_OF_MEMORY", cuda):
        assert lacks_memory(RuntimeError(text))
    assert lacks_memory(MemoryError())
    assert not lacks_memory(RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS"))


@pytest.mark.parametrize(
    "text", ["", "²", "٣", "-1", "+1", " 1", "1.0", "1_0", "9" * 19, "9" * 9000]
)
def test_other_texts_than_a_few_decimal_digits_are_no_whole_number(text: str) -> None:
    assert whole_number(text) is None
    assert [whole_number(one) for one in ("0", "007", "9" * 18)] == [0, 7, 10**18 - 1]
