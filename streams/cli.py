"""The command line: words in, the product's verbs carried out, an exit code out.

0: done. 1: it failed, and says why on stderr. 2: wrong usage. With ``--json`` a verb that answers a question prints
one JSON document on stdout and nothing else.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from deploy.local import Launcher, LauncherError, Status
from scorer.gate_report import ReleasedName
from streams import console
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.releasing import Released

# The rest is imported by the verb that needs it: Faust, Feast and the drivers take seconds to import.

app = typer.Typer(
    name="lastclick",
    help="A shop's next page already knows the last click.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class BenchmarksMissing(RuntimeError):
    """The package was installed without the repository it comes from: says what to do."""


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ModelName = Annotated[ReleasedName, typer.Argument(metavar="MODEL", help="recommender or sentiment.")]
REPOSITORY = Path(__file__).resolve().parent.parent
"""Where the package is installed from, when it is installed as `make` does."""

OUR_PACKAGES = ("deploy", "feature_repo", "scorer", "streams", "training")
SOURCES_HELP = (
    "Name of a source: shop (simulated), archive (what `lastclick archive` has written), online-retail, rees46, "
    "taobao, retailrocket, sequences, csv or parquet; docs/sources.md says what each reads."
)


@app.command()
def up() -> None:
    """Start the local Kafka and Cassandra, and return when both answer.

    Starts nothing for a server named by LASTCLICK_KAFKA or LASTCLICK_CASSANDRA (host:port).
    """
    addresses = Launcher(Settings.from_environment().home, console.say).up()
    typer.echo(f"kafka      {addresses.kafka}\ncassandra  {addresses.cassandra}")


@app.command()
def down() -> None:
    """Stop the servers that `up` started from this folder, and no others."""
    Launcher(Settings.from_environment().home, console.say).down()


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what runs here: servers, workers, models served and released. Exit code 1 when a server does not answer."""
    from streams.run_files import running_workers

    settings = Settings.from_environment()
    seen = Launcher(settings.home, console.say).status()
    workers = running_workers(settings.run)
    released = _released(settings, seen)
    if as_json:
        by_name = {server.name: server for server in seen.servers}
        document: dict[str, Any] = {name: server.address for name, server in by_name.items()}
        document["api"] = None
        document["servers"] = seen.as_json()["servers"]
        document["workers"] = [msgspec.to_builtins(worker) for worker in workers]
        document["models"] = workers[0].models if workers else {}
        document["releases"] = released
        console.print_json(document)
    else:
        console.print_status(seen, workers, released)
    if not seen.all_answer:
        raise typer.Exit(1)


@app.command()
def worker(
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=64, help="Worker processes on this machine.")] = 1,
) -> None:
    """Run workers until Ctrl-C: events in, lists out. One that crashes is started again."""
    from streams.supervisor import Supervisor

    settings = addressed_settings()
    supervisor = Supervisor(settings, count, console.say)
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: supervisor.request_stop())
    supervisor.start()
    try:
        supervisor.wait_ready()
        console.say(f"{count} worker(s) ready; Ctrl-C stops them. Logs: {settings.logs}")
        supervisor.run()
    finally:
        supervisor.stop()


@app.command("replay")
def replay_command(
    source: Annotated[str, typer.Argument(help=SOURCES_HELP)],
    path: Annotated[Path | None, typer.Argument(help="The log's file or folder, for a source that reads one.")] = None,
    rate: Annotated[float | None, typer.Option(help="Events per second.")] = None,
    speedup: Annotated[float | None, typer.Option(help="Times event time: 3600 sends an hour in a second.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most events to send in this run.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days of the simulated shop.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated shop.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=COLUMN", help="csv, parquet: what a column holds; repeatable."),
    ] = None,
    action: Annotated[
        list[str] | None,
        typer.Option(metavar="VALUE=MEANING", help="csv, parquet: what an action means; repeatable."),
    ] = None,
    time_unit: Annotated[str | None, typer.Option(help="csv, parquet: how times are written: s, ms, us, iso.")] = None,
    restart: Annotated[bool, typer.Option(help="Begin again, instead of where the last run ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a shop's log through the flow: items first, then every event in order.

    Without --rate or --speedup, as fast as the broker takes them. An interrupted replay goes on where it ended.
    """
    from feature_repo.sources import open_source, source_options
    from streams.replay import Pace, checkpoint_path, replay

    settings = addressed_settings()
    options = source_options(days=days, seed=seed, column=column, action=action, time_unit=time_unit)
    opened = open_source(source, path, **options)
    place = checkpoint_path(settings, source, path, options)
    if restart:
        place.unlink(missing_ok=True)
    with _stop_on_interrupt() as stopped, console.replay_progress(opened.count(), as_json) as progress:
        done = replay(
            opened, settings, Pace(rate, speedup), checkpoint=place, limit=limit, progress=progress, stop=stopped
        )
    if as_json:
        console.print_json(msgspec.to_builtins(done) | {"events": done.events})
    else:
        console.print_replayed(done)


@app.command()
def recommend(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="A user_id.")], as_json: AsJson = False
) -> None:
    """Print a user's list: titles, scores, reasons, and the event that caused it."""
    from streams import answers

    answer = answers.recommendation(addressed_settings(), user_id)
    if as_json:
        console.print_json(msgspec.to_builtins(answer))
    else:
        console.print_recommendation(answer)


@app.command()
def features(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="A user_id.")], as_json: AsJson = False
) -> None:
    """Print a user's features, read back through Feast."""
    from streams import answers

    values = answers.features(addressed_settings(), user_id)
    if as_json:
        console.print_json({"user_id": user_id, "features": values})
    else:
        console.print_features(user_id, values)


@app.command()
def parity(
    sample: Annotated[int, typer.Option(min=1, max=100_000, help="Most users to compare.")] = 1000,
    seed: Annotated[int | None, typer.Option(help="Seed of the sample; another one each time when not given.")] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Also write the result here, for Prometheus' textfile collector.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the features of a sample of users with a recompute from the topics. Exit code 1 when any differs.

    Safe on a live system: it only reads, and tells users whose state moves meanwhile apart.
    """
    from streams.parity import parity, write_metrics

    seed = random.randrange(2**32) if seed is None else seed
    with console.reading_progress(as_json) as progress:
        report = parity(addressed_settings(), sample, seed, progress)
    if metrics is not None:
        write_metrics(report, metrics)
    if as_json:
        console.print_json(msgspec.to_builtins(report))
    else:
        console.print_parity(report)
    if report.differing:
        raise typer.Exit(1)


@app.command()
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
    with _stop_on_interrupt() as stopped, console.archive_progress(as_json) as progress:
        done = archiver.run(once=once, stop=stopped, progress=progress)
    if as_json:
        counts = {"records": done.records, "files": done.files, "lag": done.lag}
        console.print_json(msgspec.to_builtins(done) | counts)
    else:
        console.print_archived(done)


@app.command("archive-features")
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


@app.command()
def release(
    name: ModelName,
    version: Annotated[str | None, typer.Argument(help="Version of the bundle; the newest one when left out.")] = None,
    source: Annotated[str | None, typer.Option(help="Log to compare on; else the one it was trained on.")] = None,
    path: Annotated[
        Path | None, typer.Option(help="The log's file or folder; for sentiment, a CSV file of labelled texts.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=2, help="Days of the simulated shop.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated shop.")] = None,
    as_json: AsJson = False,
) -> None:
    """Release a published model, if it passes the gates: all workers then swap to it without a restart.

    `lastclick gate` runs the gates alone. A model that is refused is not released; exit code 1 says so.
    """
    from streams import releasing

    given = {"--source": source, "--path": path, "--days": days, "--seed": seed}
    words = [word for option, value in given.items() if value is not None for word in (option, str(value))]
    try:
        done = releasing.release(addressed_settings(), name, version, words, console.say)
    except releasing.ReleaseRefused as refused:
        if as_json:
            console.print_json(msgspec.to_builtins(refused.report))
        else:
            console.print_gates(refused.report)
        raise
    _show_released(done, as_json)


@app.command()
def rollback(
    name: ModelName,
    to: Annotated[str | None, typer.Option(help="Version to go back to; the one served before when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Go back to a model that was served before. All workers swap to it without a restart."""
    from streams import releasing

    _show_released(releasing.roll_back(addressed_settings(), name, to, console.say), as_json)


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option("--for", min=5, help="End after this many seconds.")] = None,
    rate: Annotated[float, typer.Option(min=1, help="Events per second.")] = 200.0,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the simulated shop.")] = 7,
) -> None:
    """Run the whole flow on a simulated shop, live: servers, models, workers, shoppers. Ctrl-C ends it."""
    from streams.demo import run_demo

    raise typer.Exit(run_demo(Settings.from_environment(), seconds=seconds, rate=rate, workers=workers, seed=seed))


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure the flow beside its floors: freshness, saturation, backfill and more; `bench --help` lists them."""
    if not (REPOSITORY / "tests" / "benchmarks").is_dir():
        raise BenchmarksMissing(
            f"no tests/benchmarks in {REPOSITORY}: benchmarks come with the repository, not with the package; clone "
            "it and run `make bench` there"
        )
    paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "tests.benchmarks", *context.args]
    raise typer.Exit(subprocess.call(command, env=os.environ | {"PYTHONPATH": paths.rstrip(os.pathsep)}))


def addressed_settings(*needed: str) -> Settings:
    """Settings whose servers are those of the environment, or the local ones that run from this folder.

    ``needed`` names the servers (``kafka``, ``cassandra``); both when it names none.
    """
    settings = Settings.from_environment()
    seen = [server for server in Launcher(settings.home).status().servers if not needed or server.name in needed]
    found = {server.name: server.address for server in seen if server.address}
    missing = [server.title for server in seen if not server.address]
    if missing:
        raise LauncherError(
            f"no {' and no '.join(missing)} runs from {settings.home}: start them with `lastclick up`, or set "
            "LASTCLICK_KAFKA and LASTCLICK_CASSANDRA to servers of yours (host:port)"
        )
    return Settings.from_environment(None, **found)


def _released(settings: Settings, seen: Status) -> dict[str, Any]:
    """What is released, by the model's name, if the broker answers; what is no release as the words that say so."""
    from streams.release_topic import read_releases
    from streams.releases import ReleaseError, decode_release

    kafka = next(server for server in seen.servers if server.name == "kafka")
    if kafka.state != "answering":
        return {}
    found: dict[str, Any] = {}
    for name, value in read_releases(replace(settings, kafka=str(kafka.address))).items():
        try:
            found[name] = msgspec.to_builtins(decode_release(name, value))
        except ReleaseError as error:
            found[name] = {"error": str(error)}
    return found


def _show_released(done: Released, as_json: bool) -> None:
    if as_json:
        console.print_json(msgspec.to_builtins(done))
    else:
        console.print_released(done)


def main() -> None:
    """Run the command line."""
    # kafka-python reads its message schemas through an API that Python 3.11 deprecates.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"kafka\.|importlib\.")
    for entry in entry_points(group="lastclick.commands"):
        entry.load()(app)
    try:
        app()
    except Exception as error:
        # Our own exceptions are written for people. Any other is a defect, and keeps its traceback.
        if type(error).__module__.partition(".")[0] not in OUR_PACKAGES:
            raise
        sys.stderr.write(f"lastclick: {error}\n")
        sys.exit(1)


@contextmanager
def _stop_on_interrupt() -> Iterator[Any]:
    """First Ctrl-C: end in order. The value says whether it came."""
    stopped = False

    def note(*_: object) -> None:
        nonlocal stopped
        stopped = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main()
