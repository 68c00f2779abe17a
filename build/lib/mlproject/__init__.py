"""What do the first-layer filters of a CNN on DNA learn? Train, read, match and compare them."""

__version__ = "0.1.0"
