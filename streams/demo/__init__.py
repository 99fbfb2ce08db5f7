"""The demo: settings in; the whole flow on a simulated shop, live on screen, and an exit code out."""

from __future__ import annotations

from streams.demo.run import run_demo

__all__ = ["run_demo"]
