"""Recorded runs, read from the tracking server alone; users call `mlproject.results`."""
