"""Reads the filters of one convolution of a run: activations, sites, motifs, planted sites."""

from typing import NamedTuple

import keras

from mlproject.architectures import ALIGNMENTS, AlignmentRule, scored_alignments
from mlproject.data import Split
from mlproject.fields import AlignmentName
from mlproject.filters.align import SITES, align
from mlproject.filters.reading import APPROXIMATE, LayerReading, read_layer
from mlproject.filters.scan import Scan, scan
from mlproject.filters.site_windows import Peaks, site_windows
from mlproject.filters.trace import trace
from mlproject.filters.truth import FilterTruth, compare_to_sites
from mlproject.geometry import receptive_field
from mlproject.names import motif_names
from mlproject.network.build import activations, maximum_possible_activation
from mlproject.network.graph import activation_output, reads_sequence
from mlproject.run.context import RunContext
from mlproject.run.model_parts import trace_levels


class SplitScan(NamedTuple):
    """A layer's activations over one split.

    Attributes:
        sites: the sites of each filter, under both alignments.
        peaks: largest activations near planted sites, None if either position is unknown.
    """

    sites: Scan
    peaks: Peaks | None


class LayerReader:
    """Reads the filters of one convolution of a run."""

    def __init__(self, context: RunContext, model: keras.Model, layer: str, origin: str) -> None:
        """Prepare to read a layer.

        Args:
            context: the run.
            model: its network.
            layer: name of the convolution.
            origin: the convolution in whose map sites are placed; another one than `layer` if a
                max-pool before `layer` hides the exact positions.

        Raises:
            UserError: `origin` has no receptive field; the message gives the reason.
        """
        self._context, self._model, self._origin = context, model, origin
        self._exact = origin == layer
        self.convolution = layer
        self.name = layer + ("" if self._exact else APPROXIMATE)
        self._field = receptive_field(model, origin)

    def scan(self, split: Split) -> SplitScan:
        """Return the sites of the layer's filters; behind a max-pool they are traced back."""
        peaks = self._peaks(split)
        model = self._model
        first = reads_sequence(model, self.convolution)
        batches = activations(model, self.convolution, split.codes)
        sites = scan(
            peaks.watch(batches) if peaks else batches,
            released=self._least,
            paper=self._rule("paper").threshold,
            possible=maximum_possible_activation(model, self.convolution) if first else None,
        )
        if not self._exact:
            levels = trace_levels(model, self.convolution, self._origin)
            sites = sites._replace(
                released=trace(levels, sites.released, split.codes),
                paper=trace(levels, sites.paper, split.codes),
            )
        return SplitScan(sites, peaks)

    def read(self, split: Split, found: SplitScan, alignment: AlignmentName) -> LayerReading:
        """Align the sites of a split and match the motifs with the databases."""
        window = self._rule(alignment).window
        sites = self._sites(found, alignment)
        aligned = align(sites, alignment, split.codes, self._field, window)
        return read_layer(
            self.name, alignment, aligned, self._context.targets, self._context.spec.evalue
        )

    def truth(self, split: Split, found: SplitScan) -> FilterTruth | None:
        """Compare the activations with the planted sites, None if these are unknown."""
        if found.peaks is None or split.sites is None:
            return None
        data = self._context.data
        own = self._context.spec.alignment
        active = SITES[own].of(self._sites(found, own))
        names = motif_names([motif.id for motif in data.motifs], data.relevant)
        return compare_to_sites(found.peaks, active, split.sites, names, self._field)

    @property
    def _least(self) -> float:
        """The lowest threshold of the alignments that take every position above theirs."""
        names = scored_alignments(self._context.spec.alignment)
        return min(self._rule(one).threshold for one in names if SITES[one].above)

    def _sites(self, found: SplitScan, alignment: AlignmentName) -> Scan:
        """Return the sites above the threshold of an alignment."""
        threshold = self._rule(alignment).threshold
        lower = SITES[alignment].above and threshold > self._least
        return found.sites.above(threshold) if lower else found.sites

    def _rule(self, alignment: AlignmentName) -> AlignmentRule:
        spec = self._context.spec
        own = AlignmentRule(spec.threshold, spec.window)
        return own if alignment == spec.alignment else ALIGNMENTS[alignment]

    def _peaks(self, split: Split) -> Peaks | None:
        """Return the windows around planted sites, None if sites or positions are unknown."""
        if split.sites is None or not len(split.sites) or not self._exact:
            return None
        positions = int(activation_output(self._model, self.convolution).shape[1])
        found = site_windows(split.sites, self._field, positions, len(split.codes))
        return Peaks(found) if (found.site >= 0).any() else None
