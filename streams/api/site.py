"""Routes of the pages: the shop, the operator's page and their files, from the package folder ``streams/pages``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from litestar import Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.static_files import create_static_files_router

from streams.api.problems import Problem

PAGES = Path(__file__).resolve().parent.parent / "pages"
SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
NO_CACHE = {"Cache-Control": "no-cache"}


def routes(folder: Path = PAGES) -> list[HTTPRouteHandler | Router]:
    """Routes of the pages below ``folder``; they hold nothing, and read the API as any storefront does."""
    handlers: list[HTTPRouteHandler | Router] = [
        get(["/", "/shop"], include_in_schema=False, name="shop")(_page(folder / "shop.html")),
        get("/operate", include_in_schema=False, name="operate")(_page(folder / "operate.html")),
    ]
    if folder.is_dir():
        handlers.append(
            create_static_files_router("/static", [folder], include_in_schema=False, html_mode=False, name="static")
        )
    return handlers


def _page(path: Path) -> Callable[[], Coroutine[Any, Any, Response[bytes]]]:
    async def page() -> Response[bytes]:
        if not path.is_file():
            raise Problem(404, f"the page {path.name} is not part of this installation; the API is at /openapi.json")
        return Response(path.read_bytes(), media_type="text/html", headers=SECURITY | NO_CACHE)

    return page
