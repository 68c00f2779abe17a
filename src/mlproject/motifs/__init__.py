"""Motifs: matrices, MEME files, databases, Tomtom."""
