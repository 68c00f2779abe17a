"""The paper's twelve transcription factors.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, and the ids in its released code, which
lists the MEF2 motifs MA0660 and MA0773 under STAT1.
"""

from typing import NamedTuple


class Factor(NamedTuple):
    """One transcription factor.

    Attributes:
        name: name of its class.
        jaspar_id: JASPAR 2016 motif that is planted in synthetic data.
        relevant: JASPAR ids of its motifs, all versions.
    """

    name: str
    jaspar_id: str
    relevant: tuple[str, ...]


FACTORS = (
    Factor("Arid3a", "MA0151.1", ("MA0151", "MA0601")),
    Factor("CEBPB", "MA0466.2", ("MA0466",)),
    Factor("FOSL1", "MA0477.1", ("MA0477",)),
    Factor("Gabpa", "MA0062.2", ("MA0062",)),
    Factor("MAFK", "MA0496.1", ("MA0496",)),
    Factor("MAX", "MA0058.3", ("MA0058",)),
    Factor("MEF2A", "MA0052.3", ("MA0052", "MA0660", "MA0773")),
    Factor("NFYB", "MA0502.1", ("MA0502", "MA0060")),
    Factor("SP1", "MA0079.3", ("MA0079",)),
    Factor("SRF", "MA0083.3", ("MA0083",)),
    Factor("STAT1", "MA0137.3", ("MA0137",)),
    Factor("YY1", "MA0095.2", ("MA0095",)),
)

CLASSES = tuple(factor.name for factor in FACTORS)
RELEVANT = {factor.name: factor.relevant for factor in FACTORS}
