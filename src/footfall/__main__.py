"""``python -m footfall`` is the ``footfall`` command."""

from footfall.cli.main import main

if __name__ == "__main__":
    main()
