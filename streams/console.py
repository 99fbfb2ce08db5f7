"""What people see in a terminal: answers in; tables, progress and JSON out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from deploy.local import Status

if TYPE_CHECKING:
    from feature_repo.archive.feature_values import ValuesReport
    from scorer.gate_report import GateReport
    from streams.about import About
    from streams.answers import Recommendation
    from streams.archive_report import Archived
    from streams.parity import ParityReport
    from streams.releasing import Released
    from streams.replay import Replayed
    from streams.run_files import ApiRun, WorkerRun

stdout = Console()
stderr = Console(stderr=True)


def say(message: str) -> None:
    """Tell a person what is going on, beside the answer: on stderr."""
    stderr.print(message, highlight=False, markup=False)


def print_json(document: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def print_status(
    seen: Status, workers: Sequence[WorkerRun], released: Mapping[str, Mapping[str, Any]], api: ApiRun | None
) -> None:
    """Show servers, workers, the API, and models served and released."""
    table = Table("what", "state", "address", "process", "log or models", title=f"Lastclick in {seen.home}")
    for server in seen.servers:
        table.add_row(
            server.title,
            server.state,
            server.address or "-",
            str(server.pid or "-"),
            str(server.log or server.detail or ""),
        )
    for worker in workers:
        models = ", ".join(f"{name} {version}" for name, version in worker.models.items())
        table.add_row(
            f"worker {worker.instance}", "ready", f"metrics on port {worker.metrics_port}", str(worker.pid), models
        )
        for name, why in worker.refused.items():
            table.add_row("", f"{name} refused", "", "", escape(why))
    if not workers:
        table.add_row("workers", "none", "", "", "start some with `lastclick worker`")
    if api is not None:
        table.add_row("API", "answering", f"http://{api.address}", str(api.pid), "")
    for name, each in released.items():
        if "error" in each:
            table.add_row(f"release of {name}", "cannot be read", "", "", escape(each["error"]))
        else:
            why = f": {each['reason']}" if each["reason"] else ""
            said = f"{each['version']}, {_time(each['released_at_ms'])} by {each['by']}{why}"
            table.add_row(f"release of {name}", "released", "", "", escape(said))
    stdout.print(table)


def print_gates(report: GateReport) -> None:
    """Show what each gate saw and needs."""
    for line in report.lines():
        stdout.print(line, highlight=False, markup=False, soft_wrap=True)


def print_rules(rules: Sequence[Mapping[str, Any]]) -> None:
    """Show the shop's business rules, and what is refused."""
    table = Table("rule", "kind", "what", "where", "when", "note", title="Business rules")
    for each in rules:
        if "error" in each:
            table.add_row(escape(each["rule_id"]), "refused", "", "", "", escape(each["error"]))
            continue
        what = next(f"{name} {each[name]}" for name in ("item_id", "category", "brand") if name in each)
        how = {"pin": f" at {each.get('position')}", "block": ""}.get(each["kind"], f" x {each.get('factor')}")
        begins, ends = (_time(each[name]) if name in each else "" for name in ("from_ms", "until_ms"))
        table.add_row(
            escape(each["rule_id"]),
            each["kind"] + how,
            escape(what),
            ", ".join(each.get("scenes", ())) or "all scenes",
            f"{begins} - {ends}" if begins or ends else "always",
            escape(each.get("note", "")),
        )
    stdout.print(table)


def print_released(done: Released) -> None:
    """Show a release, and what the workers of this machine made of it."""
    if done.gates is not None:
        print_gates(done.gates)
    made = done.release
    reason = f" ({made.reason})" if made.reason else ""
    stdout.print(f"released: {done.name} {made.version}{reason}", highlight=False, markup=False)
    for worker in done.workers:
        refused = done.name in worker.refused
        said = f"refused it: {worker.refused[done.name]}" if refused else f"serves {worker.models[done.name]}"
        stdout.print(f"worker {worker.instance} {said}", highlight=False, markup=False)


def print_recommendation(answer: Recommendation) -> None:
    """Show a user's list."""
    if answer.caused_by is None:
        stdout.print(f"{answer.user_id} has no list yet; this is what everyone without one gets.")
    else:
        stdout.print(
            f"{answer.user_id}, {answer.scene}: list {answer.list_id}, caused by event {answer.caused_by} "
            f"of {_time(answer.event_at_ms)}, written {_time(answer.written_at_ms)} by model {answer.model_version}",
            highlight=False,
        )
    table = Table("", "item", "title", "score", "reason")
    for place, item in enumerate(answer.items, 1):
        table.add_row(str(place), item.item_id, item.title, f"{item.score:.3f}", item.reason)
    stdout.print(table)


def print_features(user_id: str, values: Mapping[str, float | str | None]) -> None:
    """Show features by name."""
    table = Table("feature", "value", title=f"{user_id}, as Feast serves it")
    for name, value in values.items():
        table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    stdout.print(table)


def print_about(answer: About) -> None:
    """Show what a text is about."""
    if not answer.aspects:
        stdout.print("about none of product, service and delivery")
        return
    table = Table("about", "sentiment", "score", "how sure that it is about it")
    for each in answer.aspects:
        table.add_row(each.aspect, each.label, f"{each.value:+.2f}", f"{each.probability:.0%}")
    stdout.print(table)


def print_replayed(done: Replayed) -> None:
    """Show what a replay did."""
    table = Table("what", "count", title=f"Replayed {done.source} in {done.seconds:.1f} s")
    table.add_row("items sent", f"{done.items:,}")
    table.add_row("events sent by an earlier run", f"{done.skipped_before:,}")
    for topic, count in sorted(done.sent.items()):
        table.add_row(f"events sent to {topic}", f"{count:,}")
    for reason, count in done.skipped_rows.most_common():
        table.add_row(f"rows skipped: {reason}", f"{count:,}")
    stdout.print(table)


@contextmanager
def replay_progress(total: int | None, quiet: bool) -> Iterator[Callable[[Replayed], None]]:
    """Show how far a replay is, on stderr; nothing when ``quiet``."""
    if quiet:
        yield lambda done: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr) as progress:
        task = progress.add_task("replaying", total=total, rate="")

        def show(done: Replayed) -> None:
            rate = f"{done.events / done.seconds:,.0f} events/s" if done.seconds else ""
            progress.update(task, completed=done.skipped_before + done.events, rate=rate)

        yield show


@contextmanager
def archive_progress(quiet: bool) -> Iterator[Callable[[Archived], None]]:
    """Show what an archiver does, on stderr: records, rate of late, lag and files; nothing when ``quiet``."""
    if quiet:
        yield lambda done: None
        return
    columns = (TextColumn("archiving"), SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=stderr) as progress:
        task = progress.add_task("looking at the topics", total=None)
        records, seconds = 0, 0.0

        def show(done: Archived) -> None:
            nonlocal records, seconds
            rate = (done.records - records) / max(done.seconds - seconds, 1e-3)
            records, seconds = done.records, done.seconds
            told = f"{done.records:,} records in {done.files:,} files, {rate:,.0f} records/s, lag {done.lag:,}"
            progress.update(task, description=told)

        yield show


def print_archived(done: Archived) -> None:
    """Show what an archiver did, by topic."""
    table = Table("topic", "records", "files", "lag", "deleted before", title=f"Archived to {done.folder}")
    for topic, counts in done.topics.items():
        numbers = (counts.records, counts.files, counts.lag, counts.missing)
        table.add_row(topic, *(f"{number:,}" for number in numbers))
    stdout.print(table)
    stdout.print(f"{done.records:,} records in {done.seconds:.1f} s", highlight=False)


@contextmanager
def counting_progress(what: str, unit: str, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a count that has no known end, on stderr; nothing when ``quiet``."""
    if quiet:
        yield lambda count: None
        return
    columns = (TextColumn(what), SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda count: progress.update(task, description=f"{count:,} {unit}")


def print_feature_values(report: ValuesReport) -> None:
    """Show what a replay of an archive wrote."""
    table = Table("what", "count", title=f"Feature values in {report.folder}")
    for view, rows in report.rows.items():
        table.add_row(f"rows of {view}", f"{rows:,}")
    for outcome, count in report.records.most_common():
        table.add_row(f"records: {outcome}", f"{count:,}")
    stdout.print(table)


def print_parity(report: ParityReport) -> None:
    """Show what a comparison of stream and batch saw."""
    stdout.print(
        f"{report.events:,} events of {sum(report.users.values()):,} users (seed {report.seed}), of "
        f"{report.records_read:,} records read in {report.seconds:.1f} s",
        highlight=False,
    )
    users = Table("users", "count")
    for outcome, count in sorted(report.users.items(), key=lambda each: -each[1]):
        users.add_row(outcome, f"{count:,}")
    stdout.print(users)
    features = Table("feature", "compared", "equal", "differing", "largest difference", "example")
    for each in report.features:
        example = "" if each.example is None else f"{each.example}: served {each.served}, recomputed {each.recomputed}"
        largest = "" if each.largest_difference is None else f"{each.largest_difference:.6g}"
        equal = each.compared - each.differing
        counts = (f"{each.compared:,}", f"{equal:,}", f"{each.differing:,}")
        features.add_row(each.feature, *counts, largest, escape(example))
    stdout.print(features)
    stdout.print(f"differing features: {', '.join(report.differing) or 'none'}", highlight=False)


@contextmanager
def reading_progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how far a reading of topics is, on stderr; nothing when ``quiet``."""
    if quiet:
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task("reading topics")
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _time(ms: int | None) -> str:
    return "-" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
