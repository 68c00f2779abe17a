"""Sentences about intervals that were left out or have limited use."""

from collections.abc import Iterator, Mapping, Sequence

from mlproject.data.bed import Intervals

MOST_NAMES = 3


def remarks(
    classes: Mapping[str, Intervals], banned: Intervals | None, scheme: str
) -> Iterator[str]:
    """Yield sentences about intervals that were left out or have limited use.

    Args:
        classes: class -> its intervals.
        banned: intervals of the blacklist.
        scheme: ``bins`` or ``summits``.
    """
    for name, one in classes.items():
        yield from _left_out(f"class {name}", one, "left out")
        points, count = one.points, len(one.table)
        if 2 * points > count:
            advice = (
                "a window gets the label of another class only if a peak of that class contains "
                "the summit: use full-width peaks"
                if scheme == "summits"
                else "bins need full-width peaks; scheme=summits takes windows around summits"
            )
            yield f"class {name}: {points:,} of {count:,} peaks have 1 nt, like summits; {advice}"
        elif scheme == "summits" and count > 1 and _at_starts(one):
            yield (
                f"class {name}: the summit of each peak is its first nt: if 0 in column 10 means "
                "that the summit is unknown, write -1"
            )
    if banned:
        yield from _left_out("blacklist", banned, "cut off")
    if scheme == "summits":
        files = [path for one in classes.values() if not one.points for path in one.without_summits]
        if files:
            names = _listed([path.name for path in files])
            yield f"windows are centred on the middles of peaks in files without summits: {names}"


def _at_starts(found: Intervals) -> bool:
    return bool((found.table["summit"] == found.table["start"]).all())


def _left_out(name: str, found: Intervals, fate: str) -> Iterator[str]:
    if found.empty:
        yield f"{name}: intervals left out, because they have 0 nt: {found.empty:,}"
    if found.absent:
        count = sum(found.absent.values())
        yield (
            f"{name}: intervals left out, because the genome lacks their chromosomes: {count:,}, "
            f"on {_listed(list(found.absent))}"
        )
    if len(found.beyond):
        yield (
            f"{name}: intervals {fate}, because they reach beyond their chromosomes: "
            f"{len(found.beyond):,}; is the genome another assembly?"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(name[:60] for name in names[:MOST_NAMES]) + more
