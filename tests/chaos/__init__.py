"""Faults on a seeded schedule while real events are replayed, and checks that nothing was lost, doubled or changed."""
