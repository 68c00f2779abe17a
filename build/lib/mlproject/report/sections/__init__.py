"""The sections of a report, one module each; `mlproject.report.registry` finds them."""
