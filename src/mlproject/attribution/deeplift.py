"""DeepLIFT with the rescale rule, as the gradient of one function of keras.ops.

The network is computed for a sequence and for its reference side by side. At each nonlinearity,
the sequence's value is replaced by an expression of equal value whose gradient is DeepLIFT's
multiplier: the difference of the outputs over the difference of the inputs, held constant. Linear
layers need no rule, and the backend's chain rule gives the multipliers of the input. A max-pool
assigns the difference of its output to one position: the sequence's arg-max if the sequence has the
larger maximum, otherwise the reference's arg-max.

Source: Shrikumar, Greenside & Kundaje, ICML 2017; hypothetical contributions as in TF-MoDISco.
"""

from typing import Any

import keras
import numpy as np
from keras import layers

from mlproject.attribution.deeplift_rules import check_rule, propagate
from mlproject.attribution.logits import (
    BATCH,
    Output,
    Progress,
    batches,
    chosen,
    scored_model,
    selector,
    silent,
)
from mlproject.attribution.references import shuffled
from mlproject.attribution.scores import hypothetical
from mlproject.geometry import as_list
from mlproject.network.backend import Gradient, gradient
from mlproject.sequence import one_hot
from mlproject.system.interrupts import check_interrupts

REFERENCES = 10


def deeplift(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    rng: np.random.Generator,
    references: int = REFERENCES,
    present: bool = False,
    output: Output = "logit",
    batch_size: int = BATCH,
    progress: Progress = silent,
) -> np.ndarray:
    """Return DeepLIFT's hypothetical contributions, mean over shuffled references.

    Args:
        model: the network; `mlproject.attribution.deeplift_rules` lists the layers with a rule.
        codes: (N, L) uint8.
        targets: (N,) class of each row.
        rng: random numbers.
        references: copies of each row with its dinucleotides shuffled.
        present: score a letter by its own part, multiplier * (input - reference), without the part
            of the reference's letter, as "DeepSHAP x input" does; the sum below does not hold then.
        output: ``logit`` or ``probability``; for the latter the sigmoid is rescaled too.
        batch_size: rows a batch.
        progress: called with the number of rows done and their total.

    Returns:
        float32 (N, L, 4). The contributions of a row sum to its output less the references' mean.

    Raises:
        UserError: a layer without a rule.
    """
    others = shuffled(codes, references, rng)
    call = multipliers(model, output)
    select = selector(targets, model.output_shape[-1])
    found = np.zeros((*codes.shape, 4), np.float32)
    for rows, (batch, copies, classes) in batches([codes, others, select], batch_size):
        x, count = one_hot(batch), rows.stop - rows.start
        for number in range(references):
            check_interrupts()
            reference = one_hot(copies[:, number])
            slopes = call(x, reference, classes)[1]
            shares = slopes * (x - reference) if present else hypothetical(slopes, reference)
            found[rows] += shares[:count] / np.float32(references)
        progress(rows.stop, len(codes))
    return found


def multipliers(model: keras.Model, output: Output = "logit") -> Gradient:
    """Return the compiled function that computes DeepLIFT's multipliers.

    Returns:
        A function from one-hot sequences and references (batch, L, 4) and a selector of classes
        (batch, classes) to the outputs (batch,) and the multipliers (batch, L, 4).

    Raises:
        UserError: a layer without a rule.
    """
    graph = scored_model(model, output)
    operations = [one for one in graph.operations if not isinstance(one, layers.InputLayer)]
    for operation in operations:
        check_rule(operation)

    def rescaled(inputs: Any, reference: Any, select: Any) -> Any:
        known = {id(graph.inputs[0]): (inputs, reference)}
        for operation in operations:
            pairs = [known[id(one)] for one in as_list(operation.input)]
            known[id(operation.output)] = propagate(operation, pairs)
        return chosen(known[id(graph.outputs[0])][0], select)

    return gradient(rescaled)
