"""Seed to catalogue: invented products with titles, prices and the hidden traits that shoppers respond to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_repo.events import Item
from feature_repo.sources.shop.words import CATEGORIES, KITS, STYLES, ProductType

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_MS = 86_400_000
STYLE_DIMENSIONS = 8
NEW_SHARE = 0.15
"""Share of the products that appear during the first `LAUNCH_DAYS` days instead of before them."""
LAUNCH_DAYS = 35
ZIPF_EXPONENT = 0.75
"""Popularity falls as rank ** -0.75 over the whole catalogue."""
TITLE_ATTEMPTS = 100


@dataclass(frozen=True)
class Types:
    """The product types, T of them, and what leads from one to another."""

    names: tuple[ProductType, ...]
    category: Ints
    """[T] index into CATEGORIES."""
    members: tuple[Ints, ...]
    """For each type its products, indices into the catalogue."""
    kits: tuple[tuple[int, ...], ...]
    """Kits as type indices."""
    complements: tuple[tuple[int, ...], ...]
    """For each type those that follow it in some kit, nearest first."""


@dataclass(frozen=True)
class Catalogue:
    """The products, N of them, as items and as arrays of hidden traits."""

    items: tuple[Item, ...]
    types: Types
    type_of: Ints
    """[N] index into `types.names`."""
    category_of: Ints
    """[N] index into CATEGORIES."""
    of_category: tuple[Ints, ...]
    """For each category its products, rising."""
    place_in_category: Ints
    """[N] position of each product in the `of_category` of its category."""
    brand_of: Ints
    """[N] index into the brand names of all categories, in order of first mention."""
    brands: int
    style: Floats
    """[N, STYLE_DIMENSIONS] position in the space of styles, about unit length."""
    quality: Floats
    """[N] standard normal, unknown to shoppers until they own the product."""
    relative_price: Floats
    """[N] logarithm of the price over the median price of its type."""
    log_popularity: Floats
    """[N] logarithm of the long-tailed share of attention, largest 0."""
    published_at_ms: Ints
    """[N] milliseconds since the epoch."""


def make_catalogue(seed: int, products: int, start_ms: int, id_prefix: str) -> Catalogue:
    """Invent `products` products; the same arguments give the same catalogue."""
    rng = np.random.default_rng([seed, 1])
    types = _make_types(products)
    type_of = np.arange(products, dtype=np.int64) % len(types.names)
    category_of = types.category[type_of]
    brand_names = list(dict.fromkeys(name for category in CATEGORIES for name in category.brands))
    style_names = list(STYLES)
    style_centres = _unit(rng.normal(size=(len(style_names), STYLE_DIMENSIONS)))
    type_style = 0.35 * rng.normal(size=(len(types.names), STYLE_DIMENSIONS)) / np.sqrt(STYLE_DIMENSIONS)
    brand_style = 0.5 * rng.normal(size=(len(brand_names), STYLE_DIMENSIONS)) / np.sqrt(STYLE_DIMENSIONS)
    brand_price = 0.25 * rng.normal(size=len(brand_names))
    brand_quality = 0.5 * rng.normal(size=len(brand_names))

    style_of = rng.integers(len(style_names), size=products)
    brand_of = np.empty(products, dtype=np.int64)
    spread = np.array([CATEGORIES[category].price_spread for category in category_of])
    for product in range(products):
        names = CATEGORIES[category_of[product]].brands
        brand_of[product] = brand_names.index(names[rng.integers(len(names))])
    style = style_centres[style_of] + type_style[type_of] + brand_style[brand_of]
    style = _unit(style + 0.45 * rng.normal(size=style.shape) / np.sqrt(STYLE_DIMENSIONS))
    relative_price = np.clip(brand_price[brand_of] + spread * rng.normal(size=products) * 0.8, -1.2, 1.4)
    quality = (0.3 * relative_price + brand_quality[brand_of] + rng.normal(size=products)) / 1.15
    ranks = rng.permutation(products) + 1
    published_at_ms = _publish(rng, products, start_ms)

    of_category = tuple(np.flatnonzero(category_of == index) for index in range(len(CATEGORIES)))
    place_in_category = np.empty(products, dtype=np.int64)
    for members in of_category:
        place_in_category[members] = np.arange(len(members))

    titles: set[str] = set()
    items = []
    for product in range(products):
        kind = types.names[type_of[product]]
        brand, style_name = brand_names[brand_of[product]], style_names[style_of[product]]
        title, description = _describe(rng, kind, brand, style_name, titles)
        items.append(
            Item(
                item_id=f"{id_prefix}p{product:04d}",
                title=title,
                description=description,
                category=CATEGORIES[category_of[product]].name,
                brand=brand,
                price=tidy_price(kind.price * float(np.exp(relative_price[product]))),
                in_stock=True,
                published_at_ms=int(published_at_ms[product]),
            )
        )
    return Catalogue(
        items=tuple(items),
        types=types,
        type_of=type_of,
        category_of=category_of,
        of_category=of_category,
        place_in_category=place_in_category,
        brand_of=brand_of,
        brands=len(brand_names),
        style=style,
        quality=quality,
        relative_price=relative_price,
        log_popularity=-ZIPF_EXPONENT * np.log(ranks),
        published_at_ms=published_at_ms,
    )


def _make_types(products: int) -> Types:
    kinds = [(kind, index) for index, category in enumerate(CATEGORIES) for kind in category.types]
    position = {kind.noun: index for index, (kind, _) in enumerate(kinds)}
    kits = tuple(tuple(position[noun] for noun in kit) for kit in KITS)
    followers: list[dict[int, int]] = [{} for _ in kinds]
    for kit in kits:
        for place, kind_index in enumerate(kit):
            for distance, other in enumerate(kit[place + 1 :], start=1):
                followers[kind_index][other] = min(distance, followers[kind_index].get(other, distance))
    return Types(
        names=tuple(kind for kind, _ in kinds),
        category=np.array([category for _, category in kinds], dtype=np.int64),
        members=tuple(np.arange(index, products, len(kinds), dtype=np.int64) for index in range(len(kinds))),
        kits=kits,
        complements=tuple(tuple(sorted(near, key=lambda other: (near[other], other))) for near in followers),
    )


def _publish(rng: np.random.Generator, products: int, start_ms: int) -> Ints:
    """Publication times: before the start, within two years, or for some in the first days after it."""
    published = start_ms - rng.integers(1, 730 * DAY_MS, size=products)
    new = rng.choice(products, size=round(NEW_SHARE * products), replace=False)
    published[new] = start_ms + rng.integers(0, LAUNCH_DAYS * DAY_MS, size=len(new))
    return published.astype(np.int64)


def _describe(rng: np.random.Generator, kind: ProductType, brand: str, style: str, titles: set[str]) -> tuple[str, str]:
    """Title and description of a product; the title is new to `titles`, and joins them."""
    for attempt in range(TITLE_ATTEMPTS):
        material = kind.materials[rng.integers(len(kind.materials))]
        feature = kind.features[rng.integers(len(kind.features))]
        colours = STYLES[style]
        colour = colours[rng.integers(len(colours))]
        title = f"{brand} {style} {material} {kind.noun}, {feature}, {colour}"
        if title not in titles:
            break
        if attempt == TITLE_ATTEMPTS - 1:
            title = f"{title}, No. {len(titles) + 1}"
    titles.add(title)
    noun, made_of = kind.noun.lower(), material.lower()
    endings = (
        f"Part of {brand}'s {style.lower()} range.",
        f"A {style.lower()} look in {colour.lower()}.",
        f"Chosen by our buyers for its {style.lower()} character.",
    )
    openings = (
        f"{made_of.capitalize()} {noun} by {brand}, {feature}, in {colour.lower()}.",
        f"{brand}'s {noun}: {made_of}, {feature}.",
        f"Everyday {noun} in {made_of}, with a difference: {feature}.",
    )
    return title, f"{openings[rng.integers(len(openings))]} {endings[rng.integers(len(endings))]}"


def tidy_price(price: float) -> float:
    """Round to a shop's kind of price: 4.95, 12.90, 149.00."""
    if price < 10:
        return round(max(0.95, round(price * 2) / 2 - 0.05), 2)
    return round(round(price) - 0.10, 2) if price < 60 else float(round(price))


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
