"""Evaluation reports to tables on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from training.evaluate import LEARNED, Report
from training.sentiment_evaluation import SentimentReport


def print_report(report: Report) -> None:
    """Print the figures of a recommender beside those of the rules."""
    console = Console()
    console.print(
        f"{report.source}: {report.users:,} users, {report.items:,} items, {report.interactions:,} interactions; "
        f"the last {report.held_out_days:g} days held out"
    )
    lists = Table(
        "lists of 10",
        f"next: HR@10\n{report.next_moments:,} users",
        "next: NDCG@10",
        f"every: HR@10\n{report.every_moments:,} moments",
        "every: NDCG@10",
    )
    for row in report.ranking:
        figures = (row.next_hit_rate_10, row.next_ndcg_10, row.every_hit_rate_10, row.every_ndcg_10)
        lists.add_row(row.method, *(f"{figure:.4f}" for figure in figures), style=_style(row.method))
    console.print(lists)
    forecasts = Table("purchase in 24 hours", "AUC", "average precision", "calibration error")
    for forecast in report.propensity:
        shown = (forecast.auc, forecast.average_precision, forecast.calibration_error)
        forecasts.add_row(forecast.method, *(f"{figure:.4f}" for figure in shown), style=_style(forecast.method))
    console.print(forecasts)
    console.print(
        f"{report.propensity_examples:,} forecasts, of which {report.base_rate:.1%} were followed by a purchase; "
        f"trained in {report.seconds['training']:.0f} s, {report.seconds['all']:.0f} s in all"
    )


def print_sentiment(report: SentimentReport) -> None:
    """Print the figures of the sentiment model, and of its floor where it was computed."""
    console = Console()
    table = Table("figure", "model", *(["TF-IDF floor"] if report.floor else []))
    for name, value in report.model.items():
        floor = [f"{report.floor[name]:.4f}" if name in report.floor else ""] if report.floor else []
        table.add_row(name, f"{value:.4f}", *floor)
    console.print(
        f"{report.source}, part {report.part}: {report.texts:,} texts, skipped {sum(report.skipped.values()):,}"
    )
    console.print(table)
    console.print(f"{report.milliseconds_per_text:.2f} ms a text; bundle {report.version}")


def _style(method: str) -> str:
    return "bold" if method == LEARNED else ""
