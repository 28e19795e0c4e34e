"""Run the command `gated` for `python -m gated`."""

from gated.cli import main

if __name__ == "__main__":
    main()
