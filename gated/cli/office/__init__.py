"""`gated office`: one module for each command. `office` joins them into the command group.

Public: none.
"""

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
