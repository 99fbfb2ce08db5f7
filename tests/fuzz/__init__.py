"""Fuzzers: bytes in, no exception out but the one that the code promises; `python -m tests.fuzz` runs them."""
