"""The rules of a generated data set: `Recipe`, whose fields are the settings of ``--set``."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlproject.data.paper import FACTORS
from mlproject.fields import Frozen, TaskName
from mlproject.system.errors import short_repr
from mlproject.system.messages import quantity

Share = Annotated[float, Field(ge=0.0, le=1.0)]
NUMBERS = re.compile(r"-?\d+(\.\d+)?(,-?\d+(\.\d+)?)*")


class Recipe(Frozen):
    """How a data set is generated; `mlproject.data.synthetic.generate` follows it."""

    description: str = Field("", description="one line on what the data are for")
    motifs: str = Field(
        ",".join(factor.jaspar_id for factor in FACTORS),
        description="JASPAR ids of the planted motifs, comma-separated",
    )
    relevant: Annotated[str, Field(pattern=r"^(\w+=MA\d{4}(\+MA\d{4})*(,|$))*$")] = Field(
        "", description="ids of the motifs of a class that are not the usual: CLASS=ID+ID,CLASS=ID"
    )
    release: str = Field("JASPAR2016", description="JASPAR release of the ids")
    fewest: Annotated[int, Field(ge=1, le=50)] = Field(
        1, description="smallest number of motifs in a sequence"
    )
    counts: str = Field(
        "0.5,0.25,0.17,0.05,0.03",
        description="probabilities of `fewest` motifs, one more, two more, ...",
    )
    imbalance: Annotated[float, Field(ge=1.0, le=1000.0)] = Field(
        1.0, description="how many times as often the first motif is drawn as the last one"
    )
    repeats: Literal["allowed", "none"] = Field(
        "allowed", description="none: each motif occurs at most once in a sequence"
    )
    strands: Literal["both", "forward"] = Field("both", description="strands of the sites")
    sharpness: Annotated[float, Field(gt=0.0, le=20.0)] = Field(
        1.0,
        description="exponent of the letter probabilities in sites: 1 as in the motif, 3 close to "
        "its consensus",
    )
    gaps: Literal["apart", "free"] = Field(
        "apart", description="apart: 1 nt or more around each motif; free: 0 nt is possible"
    )
    order: Literal["any", "listed"] = Field(
        "any", description="listed: motifs stand in the order of `motifs`"
    )
    spacing: Annotated[str, Field(pattern=r"^(\d{1,4}(-\d{1,4})?)?$")] = Field(
        "", description="nt between neighbours, 10 or 5-15; empty: as `gaps` says"
    )
    gc: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="GC content of a uniform background"
    )
    background: Literal["uniform", "genomic", "shuffled"] = Field(
        "uniform",
        description="independent letters; windows of `genome`; or such windows with their "
        "dinucleotides shuffled",
    )
    genome: str = Field("", description="FASTA file of a background")
    labels: Literal["present", "code", "kind", "value", "counts"] = Field(
        "present",
        description="present: a class for each motif; code: one class, sequences by the rules; "
        "kind: classes that exclude each other, all motifs of a sequence are of one; value: a "
        "number, the sum of `effects`; counts: Poisson counts, their logarithm a sum of effects",
    )
    effects: Annotated[str, Field(pattern=rf"^({NUMBERS.pattern})?$")] = Field(
        "", description="effect of a site of each motif on a value, comma-separated"
    )
    interactions: Annotated[str, Field(pattern=r"^(\S+\+\S+=-?\d+(\.\d+)?(,|$))*$")] = Field(
        "", description="further effect of two motifs in one sequence, ID+ID=NUMBER,..."
    )
    noise: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        0.0, description="standard deviation of a value's noise, as share of that of the rest"
    )
    mean_count: Annotated[float, Field(gt=0.0, le=1e6)] = Field(20.0, description="mean of counts")
    negatives: Share = Field(0.0, description="share of sequences without the motifs or the rules")
    negative_kind: Literal["background", "decoys", "scrambled", "shuffled"] = Field(
        "background",
        description="no motif; motifs of the pool with `decoys`; the motifs without `order` and "
        "`spacing`; or dinucleotide-shuffled positives, of the same composition",
    )
    decoys: Annotated[int, Field(ge=0, le=400)] = Field(
        0, description="other motifs of the release, drawn at random, in the negatives' pool"
    )
    label_noise: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        0.0, description="share of labels that are flipped"
    )

    @property
    def ids(self) -> tuple[str, ...]:
        """JASPAR ids of the planted motifs."""
        return tuple(one.strip() for one in self.motifs.split(","))

    @property
    def task(self) -> TaskName:
        """The task of the data."""
        tasks: dict[str, TaskName] = {"kind": "multiclass", "value": "regression"}
        return "counts" if self.labels == "counts" else tasks.get(self.labels, "binary")

    @property
    def own_relevant(self) -> dict[str, tuple[str, ...]]:
        """Class -> ids that replace the usual ones."""
        pairs = (entry.partition("=") for entry in self.relevant.split(",") if entry)
        return {name: tuple(ids.split("+")) for name, _, ids in pairs}

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Probabilities of the numbers of motifs."""
        return numbers(self.counts)

    @property
    def sizes(self) -> tuple[float, ...]:
        """Effect of each motif on a value."""
        return numbers(self.effects) if self.effects else ()

    @property
    def pairs(self) -> dict[tuple[str, str], float]:
        """Further effect of two motifs in one sequence, by their ids."""
        found = {}
        for entry in filter(None, self.interactions.split(",")):
            names, _, effect = entry.rpartition("=")
            one, _, other = names.partition("+")
            found[one, other] = float(effect)
        return found

    @property
    def most(self) -> int:
        """Largest number of motifs in a sequence."""
        return self.fewest + len(self.probabilities) - 1

    @property
    def distances(self) -> tuple[int, int] | None:
        """Smallest and largest distance of neighbours, nt, None without a rule."""
        first, _, last = self.spacing.partition("-")
        return (int(first), int(last or first)) if first else None

    @model_validator(mode="after")
    def _fits_together(self) -> "Recipe":
        if not NUMBERS.fullmatch(self.counts) or min(self.probabilities) < 0:
            raise ValueError(f"`counts` must be probabilities: got {short_repr(self.counts)}")
        if abs(sum(self.probabilities) - 1) > 1e-6:
            raise ValueError(f"`counts` must sum to 1: got {short_repr(self.counts)}")
        if len(set(self.ids)) < len(self.ids):
            raise ValueError(f"`motifs` must name each motif once: got {short_repr(self.motifs)}")
        if self.repeats == "none" and (self.most > len(self.ids) or self.imbalance > 1):
            raise ValueError(
                f"`repeats=none` needs as many motifs as a sequence has, {self.most}, and "
                f"imbalance=1: got {quantity(len(self.ids), 'motif')}, imbalance={self.imbalance:g}"
            )
        if self.distances and self.distances[0] > self.distances[1]:
            raise ValueError(f"`spacing` must rise, as 5-15 does: got {self.spacing}")
        if (self.background == "uniform") == bool(self.genome):
            raise ValueError(
                f"`genome` must be given for background=genomic or shuffled, and only there: got "
                f"background={self.background}, genome={self.genome!r}"
            )
        if (self.negative_kind == "decoys") != bool(self.decoys):
            raise ValueError(
                f"`decoys` must be above 0 with negative_kind=decoys, and only there: got "
                f"decoys={self.decoys}, negative_kind={self.negative_kind}"
            )
        ruled = self.labels == "code" and (self.order == "listed" or bool(self.spacing))
        if self.negative_kind == "scrambled" and not ruled:
            raise ValueError(
                "`negative_kind=scrambled` needs labels=code, and order=listed or a spacing: got "
                f"labels={self.labels}, order={self.order}, spacing={self.spacing!r}"
            )
        return self

    @model_validator(mode="after")
    def _labels_fit(self) -> "Recipe":
        number = self.labels in ("value", "counts")
        if number != bool(self.effects) or (number and len(numbers(self.effects)) != len(self.ids)):
            raise ValueError(
                "`effects` must have a number for each of the motifs with labels=value or counts, "
                f"and be empty otherwise: got {self.effects!r} for "
                f"{quantity(len(self.ids), 'motif')}"
            )
        if (self.interactions and not number) or (self.noise and self.labels != "value"):
            raise ValueError("`interactions` and `noise` are for labels=value: got other labels")
        if unknown := {one for pair in self.pairs for one in pair} - set(self.ids):
            raise ValueError(f"`interactions` must name two of the motifs: got {min(unknown)}")
        if self.label_noise and self.task != "binary":
            raise ValueError(f"`label_noise` is for labels 0 and 1: got labels={self.labels}")
        if self.negatives and self.labels == "kind":
            raise ValueError("`negatives` must be 0 with labels=kind: each sequence has a class")
        if self.labels == "code" and not 0.0 < self.negatives < 1.0:
            raise ValueError(
                f"`negatives` must be above 0 and below 1 with labels=code: got {self.negatives:g}"
            )
        return self


def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers of a comma-separated text."""
    return tuple(float(one) for one in text.split(","))
