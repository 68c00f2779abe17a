"""Read recorded runs from the tracking server; users import `mlproject.results`."""
