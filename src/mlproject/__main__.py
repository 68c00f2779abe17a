"""``python -m mlproject COMMAND``."""

from mlproject.cli import main

if __name__ == "__main__":
    main()
