"""`gated doctor`: a look at the whole gate that changes nothing."""

import click


@click.command()
def doctor() -> None:
    """Show every wire and what it would do, what works now, and what to do next."""
