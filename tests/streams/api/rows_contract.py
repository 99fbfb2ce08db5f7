"""What every `Rows` promises, held against the fake in unit tests and against Cassandra in integration tests."""

from __future__ import annotations

import asyncio

from streams.api.rows import Rows, StoredList


def columns(stored: StoredList | None) -> dict[str, object] | None:
    """What a list holds, to be compared."""
    if stored is None:
        return None
    return {name: getattr(stored, name) for name in StoredList.__slots__ if name != "items"} | {
        "items": [(item_id, round(score, 4), reason) for item_id, score, reason in stored.items]
    }


async def check_rows(rows: Rows, user_id: str, home: StoredList, popular: StoredList) -> None:
    """Hold `rows`, which have one user's list in the scene home and one popular list, against the promise."""
    assert columns(await rows.user_list(user_id, "home")) == columns(home)
    assert await rows.list_id(user_id, "home") == home.list_id
    assert await rows.user_list(user_id, "cart") is None
    assert await rows.list_id(user_id, "cart") is None
    assert await rows.user_list(f"{user_id}-unknown", "home") is None
    names = (user_id, f"{user_id}-unknown", user_id)
    together = await asyncio.gather(*(rows.user_list(name, "home") for name in names))
    assert [columns(each) for each in together] == [columns(home), None, columns(home)]
    found = await rows.item_list("popular", "")
    assert found is not None
    assert columns(StoredList(found.list_id, found.items)) == columns(StoredList(popular.list_id, popular.items))
    assert (found.caused_by, found.event_at_ms, found.model_version) == (None, None, None)
    assert await rows.item_list("popular", "no such category") is None
    assert await rows.state(f"{user_id}-unknown") is None
