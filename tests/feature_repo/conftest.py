"""Property tests here are reproducible, and a busy machine doesn't fail them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("feature_repo", deadline=None, derandomize=True)
settings.load_profile("feature_repo")
