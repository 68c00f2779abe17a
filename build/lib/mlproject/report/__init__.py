"""The report: tables and figures of many runs beside the published numbers."""
