"""`python -m deploy.local up|down|status`: the local servers without the rest of the product."""

from __future__ import annotations

import typer

from deploy.local.commands import register

app = typer.Typer(help="Local Kafka and Cassandra from locked packages.", no_args_is_help=True)
register(app)

if __name__ == "__main__":
    app()
