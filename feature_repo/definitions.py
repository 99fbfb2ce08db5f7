"""The Feast objects, made from the feature declarations; the only file that holds any.

In: `FEATURES` and `ITEM_FEATURES`. Out: entities, views, services. It works imported as
`feature_repo.definitions` and under the bare name that `feast apply` gives it. Feast compares objects by
identity, so no other module may have them among its own names: import this module, not its objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Float32, PrimitiveFeastType, String

from feature_repo.archive.view_files import view_path
from feature_repo.declarations import Feature, numeric_names
from feature_repo.features import FEATURES
from feature_repo.item_state import ITEM_FEATURES

TTL = timedelta(days=90)
"""A row vanishes this long after its last write; the next event writes it again."""

MARKETING = (
    "log_hours_since_event",
    "log_hours_since_purchase",
    "active_days_90d",
    "clicks_7d",
    "adds_7d",
    "purchases_90d",
    "spend_total",
    "spend_90d",
    "mean_line_value",
    "return_rate",
    "cart_items",
    "top_category",
    "top_brand",
    "reviews_total",
    "mood_mean",
    "mood_last",
)
"""Features that people act on by reading them."""

FEAST_TYPES: dict[str, PrimitiveFeastType] = {"float32": Float32, "string": String}


ARCHIVE = Path("../.lastclick/archive")
"""The archive of the default home, seen from this folder, where `feast apply` runs."""


def source(view: str, archive: Path = ARCHIVE) -> PushSource:
    """Where the values of a view come from: pushed by the agents, and written by `lastclick archive-features`."""
    values = FileSource(
        name=f"{view}_archive",
        path=str(view_path(archive, view)),
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
    )
    return PushSource(name=f"{view}_agents", batch_source=values)


def _schema(join_key: str, declared: Sequence[Feature]) -> list[Field]:
    return [Field(name=join_key, dtype=String)] + [
        Field(
            name=feature.name,
            dtype=FEAST_TYPES[feature.dtype],
            description=feature.description,
            tags={"unit": feature.unit},
        )
        for feature in declared
    ]


user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING, description="A shopper of the shop.")
item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING, description="A product of the shop.")

user_features = FeatureView(
    name="user_features",
    entities=[user],
    ttl=TTL,
    schema=_schema("user_id", FEATURES),
    source=source("user_features"),
    online=True,
    description="What a shopper did, as of their newest event.",
)
item_features = FeatureView(
    name="item_features",
    entities=[item],
    ttl=TTL,
    schema=_schema("item_id", ITEM_FEATURES),
    source=source("item_features"),
    online=True,
    description="What shoppers did with a product, as of its newest event.",
)

# One service a kind of reader. Feast answers in no particular order: read by name.
propensity = FeatureService(
    name="propensity",
    features=[user_features[list(numeric_names(FEATURES))]],
    description="All numbers of a shopper: what the recommender reads, declared in its order.",
)
marketing = FeatureService(
    name="marketing",
    features=[user_features[list(MARKETING)]],
    description="What people can read of a shopper: money, recency, tastes and mood.",
)
item_card = FeatureService(name="item_card", features=[item_features], description="All there is about a product.")

OBJECTS = (user, item, user_features, item_features, propensity, marketing, item_card)
"""All of the above, as `FeatureStore.apply` takes them."""
