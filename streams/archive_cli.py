"""Verbs of the archive: `archive` writes the topics to files, `archive-features` replays the files for Feast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from streams import console
from streams.command_line import AsJson, addressed_settings, stop_on_interrupt
from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the verbs of the archive to the product's command line."""
    app.command()(archive)
    app.command("archive-features")(archive_features)


def archive(
    once: Annotated[bool, typer.Option("--once", help="End when what is on the topics now is archived.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="The archive's folder; $LASTCLICK_HOME/archive when not given.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Longest time that a record waits for its file.")] = 300.0,
    file_mb: Annotated[int, typer.Option(min=1, help="A partition's records become a file at this size.")] = 64,
    memory_mb: Annotated[int, typer.Option(min=1, help="Most that all waiting records may take together.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: print one JSON document of counts.")] = False,
) -> None:
    """Write every topic to Parquet files, each record once, until Ctrl-C. Goes on where the folder's files end.

    Folders are topic=NAME/day=YYYY-MM-DD, as DuckDB, Polars and Spark read them. A second archiver of the same folder
    is refused.
    """
    from streams.archiver import Archiver
    from streams.rolling import MIB, Limits
    from streams.topics import TOPICS, create_topics

    if as_json and not once:
        raise typer.BadParameter("--json prints counts at the end, so it needs --once")
    settings = addressed_settings("kafka")
    create_topics(settings)
    limits = Limits(seconds, file_mb * MIB, memory_mb * MIB)
    archiver = Archiver(settings, out or settings.archive, [topic.name for topic in TOPICS], limits)
    with stop_on_interrupt() as stopped, console.archive_progress(as_json) as progress:
        done = archiver.run(once=once, stop=stopped, progress=progress)
    if as_json:
        counts = {"records": done.records, "files": done.files, "lag": done.lag}
        console.print_json(msgspec.to_builtins(done) | counts)
    else:
        console.print_archived(done)


def archive_features(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The archive; $LASTCLICK_HOME/archive when not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay an archive into the feature values of every moment, for Feast's `get_historical_features`.

    Written to features/ in the archive, in place of what an earlier run wrote. See docs/archive.md.
    """
    from feature_repo.archive.feature_values import write_feature_values

    with console.counting_progress("replaying the archive", "records", as_json) as progress:
        report = write_feature_values(folder or Settings.from_environment().archive, progress)
    if as_json:
        console.print_json(msgspec.to_builtins(report))
    else:
        console.print_feature_values(report)
