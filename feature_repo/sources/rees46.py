"""REES46 / Open CDP store events: a monthly CSV comes in; views, carts and purchases go out.

"eCommerce behavior data from multi category store" (mkechinov on Kaggle, collected by the Open CDP project; no licence
is stated): event_time, event_type, product_id, category_id, category_code, brand, price, user_id, user_session. Times
are UTC. The set has no titles: an item is called by its brand and the last part of its category code.
"""

from __future__ import annotations

from pathlib import Path

from feature_repo.sources.fields import FieldError, id_of, milliseconds_of, name_of, price_of
from feature_repo.sources.row_log import Action, Row, RowLog, make_event
from feature_repo.sources.text_file import read_table

COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
ACTIONS: dict[str, Action] = {"view": "click", "cart": "add", "remove_from_cart": "remove", "purchase": "purchase"}


def rees46(path: Path) -> RowLog[list[str]]:
    """Open the file at `path`, plain or gzipped."""
    return RowLog("rees46", path, lambda: read_table(path, COLUMNS), _row)


def _row(line: int, fields: list[str]) -> Row:
    time, event_type, product, category_number, category_code, brand, price, user, user_session = fields
    action = ACTIONS.get(event_type)
    if action is None:
        raise FieldError("event_type", event_type, f"one of {', '.join(ACTIONS)}")
    unit_price = price_of("price", price)
    kind = category_code.rpartition(".")[2].replace("_", " ")
    return Row(
        make_event(
            action,
            line=line,
            user_id=id_of("user_id", user),
            item_id=id_of("product_id", product),
            occurred_at_ms=milliseconds_of("event_time", time, "iso"),
            unit_price=unit_price,
            session_id=name_of(user_session),
        ),
        title=name_of(f"{brand} {kind}"),
        category=name_of(category_code or category_number),
        brand=name_of(brand),
        price=unit_price,
    )
