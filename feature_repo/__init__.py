"""Event to feature: event types, the per-user state and its update, features, and the Feast objects made from them."""
