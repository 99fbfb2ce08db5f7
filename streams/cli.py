"""The command line: words in, the product's verbs carried out, an exit code out.

0: done. 1: it failed, and says why on stderr. 2: wrong usage. With ``--json`` a verb that answers a question prints
one JSON document on stdout and nothing else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from deploy.local import Launcher, Status
from streams import about_cli, answers_cli, archive_cli, console, explain_cli, release_cli, rules_cli
from streams.api import cli as api_cli
from streams.command_line import SOURCES_HELP, AsJson, addressed_settings, stop_on_interrupt
from streams.settings import Settings

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


REPOSITORY = Path(__file__).resolve().parent.parent
"""Where the package is installed from, when it is installed as `make` does."""

OUR_PACKAGES = ("deploy", "feature_repo", "scorer", "streams", "training")


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
    from streams.run_files import running_api, running_workers

    settings = Settings.from_environment()
    seen = Launcher(settings.home, console.say).status()
    workers = running_workers(settings.run)
    api = running_api(settings.run)
    released = _released(settings, seen)
    if as_json:
        by_name = {server.name: server for server in seen.servers}
        document: dict[str, Any] = {name: server.address for name, server in by_name.items()}
        document["api"] = api.address if api else None
        document["servers"] = seen.as_json()["servers"]
        document["workers"] = [msgspec.to_builtins(worker) for worker in workers]
        document["models"] = workers[0].models if workers else {}
        document["releases"] = released
        console.print_json(document)
    else:
        console.print_status(seen, workers, released, api)
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
    with stop_on_interrupt() as stopped, console.replay_progress(opened.count(), as_json) as progress:
        done = replay(
            opened, settings, Pace(rate, speedup), checkpoint=place, limit=limit, progress=progress, stop=stopped
        )
    if as_json:
        console.print_json(msgspec.to_builtins(done) | {"events": done.events})
    else:
        console.print_replayed(done)


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


for verbs in (about_cli, answers_cli, api_cli, archive_cli, explain_cli, release_cli, rules_cli):
    verbs.register(app)


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


if __name__ == "__main__":
    main()
