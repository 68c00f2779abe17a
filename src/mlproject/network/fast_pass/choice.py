"""Which pass computes a network: the fast one or the model's own."""

from functools import partial

import keras

from mlproject.network import backend
from mlproject.network.fast_pass.forward import prediction_pass, training_pass
from mlproject.network.fast_pass.plan import Block, is_pool_alone, plan
from mlproject.network.step_parts import TrainingPass


def supports(model: keras.Model) -> bool:
    """Return whether the fast pass computes a part of a model in another way than the model.

    That part are its blocks, see `plan` (a convolution with ``same`` padding and without dilation,
    batch norm or none, a monotonic activation, a max-pool), and other max-pools.
    """
    if any(layer.compute_dtype != "float32" for layer in model.layers):
        return False
    return any(isinstance(step, Block) or is_pool_alone(step) for step in plan(model))


def choose(model: keras.Model, letters: bool = False) -> tuple[TrainingPass, str]:
    """Return the pass to train with and its name; `letters` as for `training_pass`.

    ``fast`` is `training_pass`, for models that it `supports` on a processor; ``model`` is the
    model's own.

    On a GPU `training_pass` is no faster, and on one GPU (H100, JAX 0.11.2) trainings with it had
    corrupted weights; see docs/reproduction/koo_eddy_2019/notes.md.
    """
    if _is_fast(model):
        return partial(training_pass, letters=letters), "fast"
    return lambda model, x: model(x, training=True), "model"


def choose_prediction(model: keras.Model) -> backend.Scores | None:
    """Return the pass to predict with during a training, None for the model's own; see `choose`."""
    return prediction_pass if _is_fast(model) else None


def _is_fast(model: keras.Model) -> bool:
    return backend.on_processor() and supports(model)
