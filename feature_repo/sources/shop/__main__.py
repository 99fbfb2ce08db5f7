"""Print the figures of the simulated shop: `python -m feature_repo.sources.shop [--days 28] [--seed 7]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque

from feature_repo.sources.shop import Shop
from feature_repo.sources.shop.summary import summarise


def main() -> None:
    """Run the shop twice, once for its speed and once for its figures, and print them."""
    parser = argparse.ArgumentParser(prog="python -m feature_repo.sources.shop", description=__doc__)
    parser.add_argument("--days", type=int, default=28, help="length of the run (default 28)")
    parser.add_argument("--seed", type=int, default=7, help="source of every choice (default 7)")
    parser.add_argument("--shoppers", type=int, default=1500, help="shoppers in all (default 1500)")
    parser.add_argument("--products", type=int, default=600, help="size of the catalogue (default 600)")
    chosen = parser.parse_args()
    shop = Shop(chosen.seed, chosen.shoppers, chosen.products, chosen.days)
    started = time.process_time()
    deque(shop.events(), maxlen=0)
    seconds = time.process_time() - started
    summary = summarise(shop)
    total = sum(summary.events.values())
    lines = [
        f"{total:,} events in {chosen.days} days, {total / chosen.days:,.0f} a day,"
        f" {total / seconds:,.0f} made a second of CPU"
    ]
    lines += [f"  {kind:20} {number:10,}" for kind, number in sorted(summary.events.items())]
    lines.append(f"next new product, HR@10 over {summary.targets:,} clicks of the last week")
    lines += [f"  {rule:20} {rate:10.4f}" for rule, rate in summary.hit_rates.items()]
    lines.append(f"purchase within 24 h of an event: base rate {summary.purchase_rate:.4f}; AUC of")
    lines += [f"  {rule:20} {auc:10.4f}" for rule, auc in summary.purchase_auc.items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
