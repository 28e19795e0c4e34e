"""`python -m gated` is `gated`."""

from gated.cli import main

if __name__ == "__main__":
    main()
