"""``python -m mlproject COMMAND``."""

from mlproject.commands.cli import main

if __name__ == "__main__":
    main()
