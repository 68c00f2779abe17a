"""``python -m sweeps PLAN``: the command ``sweep`` of the command line."""

import sys

from mlproject.cli import main

if __name__ == "__main__":
    main(["sweep", *sys.argv[1:]])
