"""Sites behind a pool: followed to where their largest input came from."""

import numpy as np
import pytest

from mlproject.architectures import arch_name, make_spec, recorded_spec
from mlproject.data.synthetic import generate
from mlproject.filters.align import align
from mlproject.filters.scan import scan
from mlproject.filters.trace import trace
from mlproject.geometry import receptive_field
from mlproject.network.build import activations, build
from mlproject.run.model_parts import trace_levels
from mlproject.system.errors import UserError

DEEP = {
    "filters1": 3, "kernel1": 5, "pool1": 2, "filters2": 4, "kernel2": 4, "pool2": 3,
    "pool_stride2": 2, "filters3": 5, "kernel3": 3, "pool3": 4, "units": 8,
}  # fmt: skip


def padding(size: int, width: int, stride: int) -> int:
    return max((-(-size // stride) - 1) * stride + width - size, 0) // 2


def test_tracing_is_what_following_each_site_by_hand_gives() -> None:
    rng = np.random.default_rng(1)
    spec = make_spec(DEEP)
    model = build(spec, 45, 2)
    for number in (1, 2, 3):
        norm = model.get_layer(f"conv{number}_bn")
        gamma, beta, *rest = norm.get_weights()
        norm.set_weights([rng.normal(size=gamma.shape), beta + 0.2, *rest])
    codes = rng.integers(0, 4, (7, 45), np.uint8)
    found = scan(activations(model, "conv3", codes))
    assert spec.origin(3) == 1
    traced = trace(trace_levels(model, "conv3", "conv1"), found.released, codes)
    assert len(traced) > 50
    maps = {number: next(activations(model, f"conv{number}", codes)) for number in (1, 2)}
    for before, after in zip(found.released, traced, strict=True):
        row, place, channel = (int(before[key]) for key in ("sequence", "position", "filter"))
        for number in (3, 2):
            below = maps[number - 1][row]
            pool, stride = spec.blocks[number - 2].pool, spec.blocks[number - 2].pool_stride
            outputs = -(-len(below) // stride)
            starts = [one * stride - padding(len(below), pool, stride) for one in range(outputs)]
            kernel = np.array(model.get_layer(f"conv{number}").kernel)[..., channel]
            sign = np.sign(np.array(model.get_layer(f"conv{number}_bn").gamma)[channel])
            best = (-np.inf, 0, 0)
            for tap in range(len(kernel)):
                source = place - padding(outputs, len(kernel), 1) + tap
                if not 0 <= source < outputs:
                    continue
                inside = range(max(starts[source], 0), min(starts[source] + pool, len(below)))
                for one in range(below.shape[1]):
                    values = [below[position, one] for position in inside]
                    added = sign * kernel[tap, one] * max(values)
                    if added > best[0]:
                        best = (added, inside[int(np.argmax(values))], one)
            _, place, channel = best
        assert after["position"] == place
        assert after["filter"] == before["filter"]
        assert after["activation"] == before["activation"]


def test_a_filter_that_reads_one_motif_through_a_pool_shows_that_motif() -> None:
    data = generate(0, 600, 150)
    spec = make_spec({"filters1": 2, "pool1": 10, "filters2": 1, "kernel2": 3, "layers": "conv1"})
    model = build(spec, 150, 12)
    motif = data.motifs[data.classes.index("SRF")]
    kernel = np.zeros((19, 4, 2), np.float32)
    kernel[: motif.width, :, 0] = np.log2(motif.pwm + 0.01) + 2
    model.get_layer("conv1").set_weights([kernel])
    above = np.zeros((3, 2, 1), np.float32)
    above[1, 0, 0] = 1.0
    model.get_layer("conv2").set_weights([above])
    codes = np.asarray(data.train.codes)
    found = scan(activations(model, "conv2", codes))
    field = receptive_field(model, "conv1")
    traced = found._replace(
        released=trace(trace_levels(model, "conv2", "conv1"), found.released, codes)
    )
    shown = align(traced, "released", codes, field, 19).pwms[0, : motif.width]
    blurred = align(
        found, "released", codes, receptive_field(model, "conv2"), 19
    ).pwms[0, : motif.width]  # fmt: skip
    assert (shown.argmax(axis=1) == motif.pwm.argmax(axis=1))[motif.pwm.max(axis=1) > 0.6].all()
    assert np.abs(shown - motif.pwm).mean() < 0.06 < np.abs(blurred - motif.pwm).mean()


def test_layers_behind_a_pool_are_refused_with_the_reason_unless_asked_for() -> None:
    with pytest.raises(UserError, match=r"position of an activation is lost \(through_pool=argmax"):
        make_spec({"arch": "CNN-2", "layers": "conv1,conv2"})
    asked = make_spec({"arch": "CNN-2", "layers": "conv1,conv2", "through_pool": "argmax"})
    assert arch_name(asked) == "CNN-2"
    assert make_spec({"arch": "CNN-1", "layers": "conv1,conv2"}).layer_numbers == (1, 2)
    deepest = make_spec({"arch": "CNN-1-1-100", "layers": "conv1,conv2,conv3"})
    assert deepest.origin(3) == 3
    assert receptive_field(build(deepest, 200, 2), "conv3").width == 27


def test_a_spec_without_it_keeps_its_hash_and_one_with_it_keeps_its_training() -> None:
    plain = recorded_spec({"arch": "CNN-2"})
    asked = recorded_spec({"arch": "CNN-2", "through_pool": "argmax"})
    assert plain.spec_sha256("d") != asked.spec_sha256("d")
    assert plain.train_sha256("d") == asked.train_sha256("d")
    assert plain.spec_sha256("d") == (
        "a1129cdb67b7b50bc865a0c8773f24a1a4956a0876f0601659474072cfd5d30c"
    )
