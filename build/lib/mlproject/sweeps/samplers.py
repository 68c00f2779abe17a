"""Optuna's samplers by the names that plans use. A new sampler is one more function here."""

from collections.abc import Callable
from typing import Any

from optuna.samplers import (
    BaseSampler,
    GPSampler,
    GridSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)

from mlproject.sweeps.plan import Search
from mlproject.sweeps.space import Space
from mlproject.system.errors import UserError

Make = Callable[[Search, Space, int], BaseSampler]
SAMPLERS: dict[str, Make] = {}
"""From a search, its space and a seed to a sampler. The seed differs for each start of a plan."""


def sampler(make: Make) -> Make:
    """Register a function under its name."""
    SAMPLERS[make.__name__] = make
    return make


@sampler
def tpe(search: Search, space: Space, seed: int) -> BaseSampler:
    """Return the tree-structured Parzen estimator."""
    return TPESampler(seed=seed)


@sampler
def random(search: Search, space: Space, seed: int) -> BaseSampler:
    """Return independent random choices."""
    return RandomSampler(seed=seed)


@sampler
def grid(search: Search, space: Space, seed: int) -> BaseSampler:
    """Return all combinations of the space, in an order that does not depend on restarts."""
    choices: Any = space.distributions
    return _Grid({name: list(one.choices) for name, one in choices.items()}, seed=search.seed)


@sampler
def nsga2(search: Search, space: Space, seed: int) -> BaseSampler:
    """Return the genetic algorithm NSGA-II, for several objectives."""
    population = min(50, max(4, search.trials // 5))
    return NSGAIISampler(population_size=population, seed=seed)


@sampler
def gp(search: Search, space: Space, seed: int) -> BaseSampler:
    """Return Gaussian processes.

    Raises:
        UserError: torch is not installed.
    """
    try:
        import torch  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        raise UserError("`sampler: gp` needs torch: pip install torch") from error
    return GPSampler(seed=seed)


class _Grid(GridSampler):
    def after_trial(self, *_: Any) -> None:
        """Do nothing: Optuna's own method stops the loop of `optimize`, which is not used here."""
