"""Tables for LaTeX with the package booktabs."""

import re
from collections.abc import Sequence

WIDE = 8
SPECIAL = {
    "\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_",
    "{": "\\{", "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "±": "$\\pm$", "−": "$-$", "Δ": "$\\Delta$", "×": "$\\times$", "≥": "$\\geq$",
    "≤": "$\\leq$", "—": "---", "–": "--", "“": "``", "”": "''", "·": "$\\cdot$", "`": "'",
    "→": "$\\to$", "√": "$\\surd$",
}  # fmt: skip
MARK = re.compile(r"^\\textasciicircum\{\}(\w+)\\textasciicircum\{\} ")


def latex_text(text: str) -> str:
    """Return a text with LaTeX's special characters escaped."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def latex_table(
    name: str,
    title: str,
    groups: Sequence[tuple[str, int]],
    heads: Sequence[tuple[str, bool]],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str],
) -> str:
    """Return a table environment.

    Args:
        name: of the label ``tab:<name>``.
        title: the caption.
        groups: headings above the columns, each with its number of columns.
        heads: heading of each column, and whether it is a text.
        rows: the cells as LaTeX.
        notes: plain texts below the table; ``^a^`` at the start of one is a footnote mark.
    """
    wide = len(heads) > WIDE
    lines = ["% needs \\usepackage{booktabs}" + ",graphicx" * wide]
    lines += ["\\begin{table}", "\\centering", "\\small"]
    lines += [f"\\caption{{{latex_text(title)}}}", f"\\label{{tab:{name}}}"]
    lines += ["\\resizebox{\\textwidth}{!}{%"] * wide
    shape = "".join("l" if text else "r" for _, text in heads)
    lines += [f"\\begin{{tabular}}{{{shape}}}", "\\toprule"]
    if any(group for group, _ in groups):
        spans, rules, start = [], [], 1
        for group, count in groups:
            spans.append(f"\\multicolumn{{{count}}}{{c}}{{{latex_text(group)}}}")
            if group:
                rules.append(f"\\cmidrule(lr){{{start}-{start + count - 1}}}")
            start += count
        lines += [" & ".join(spans) + " \\\\", " ".join(rules)]
    lines += [" & ".join(latex_text(label) for label, _ in heads) + " \\\\", "\\midrule"]
    lines += [" & ".join(cells) + " \\\\" for cells in rows]
    lines += ["\\bottomrule", "\\end{tabular}" + "}" * wide]
    marked = [MARK.sub(r"\\textsuperscript{\1} ", latex_text(note)) for note in notes]
    lines += [f"\\par\\footnotesize {note}" for note in marked]
    return "\n".join([*lines, "\\end{table}", ""])
