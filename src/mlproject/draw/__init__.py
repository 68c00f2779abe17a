"""Figures and pages: logos, tracks, curves."""
