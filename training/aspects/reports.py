"""Reports on aspects to a table on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from training.aspects.evaluation import AspectsReport


def print_aspects(report: AspectsReport) -> None:
    """Print the model's figures, mean and spread of the seeds, beside those of the rules."""
    console = Console()
    about = ", ".join(f"{count} about {aspect}" for aspect, count in report.test_about.items())
    console.print(f"{report.source}: {report.train:,} sentences to learn from, {report.test:,} tested: {about}")
    table = Table("figure", f"model, {len(report.seeds)} seed(s)", "TF-IDF floor", "always the commonest")
    for name, mean in report.mean.items():
        shown = f"{mean:.4f} ± {report.spread[name]:.4f}"
        table.add_row(name, shown, f"{report.floor[name]:.4f}", f"{report.commonest[name]:.4f}")
    console.print(table)
    fp32, int8 = (figures["aspect_sentiment_f1"] for figures in (report.int8.fp32, report.int8.int8))
    console.print(
        f"aspect_sentiment_f1 of the first seed on {report.int8.sentences:,} sentences not learned from: {fp32:.4f} in "
        f"float32, {int8:.4f} in int8, "
        f"{report.int8.milliseconds_per_text:.2f} ms a sentence on one thread; "
        f"{report.seconds_per_seed:.0f} s to train a seed"
    )
