"""``python -m mlproject COMMAND``, and the program ``mlproject``."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while its modules are imported gives one line too."""
    try:
        from mlproject.commands.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit("interrupted")


if __name__ == "__main__":
    main()
