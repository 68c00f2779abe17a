"""``python src COMMAND``: the command line from a checkout, without installing anything."""

from mlproject.cli import main

if __name__ == "__main__":
    main()
