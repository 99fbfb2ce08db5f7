"""The simulated shop's assortment in words: categories, product types, kits of types, styles and brands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProductType:
    """A kind of product: what it is called, made of and good at."""

    noun: str
    price: float
    """Median price."""
    materials: tuple[str, ...]
    features: tuple[str, ...]
    lasts_days: int | None = None
    """Days after which a consumable is used up and bought again; None for durable goods."""


@dataclass(frozen=True)
class Category:
    """A department of the shop."""

    name: str
    price_spread: float
    """Standard deviation of the logarithm of the prices of one product type."""
    brands: tuple[str, ...]
    types: tuple[ProductType, ...]


def _type(noun: str, price: float, materials: str, features: str, lasts_days: int | None = None) -> ProductType:
    return ProductType(noun, price, tuple(materials.split(", ")), tuple(features.split(", ")), lasts_days)


CATEGORIES: tuple[Category, ...] = (
    Category("Camping", 0.45, ("Fjellhus", "Trailmark", "Kestrel & Pine", "Norrvik", "Stonebrook"), (
        _type("Tent", 145, "Ripstop, Canvas, Silnylon", "2-Person, 3-Person, 4-Season, Quick-Pitch"),
        _type("Sleeping Bag", 80, "Down, Recycled Fibre, Microfibre", "3-Season, Ultralight, Extra Long, -10 °C"),
        _type("Sleeping Mat", 45, "Foam, Insulated, Quilted", "Self-Inflating, Foldable, 5 cm, Double"),
        _type("Camping Stove", 55, "Steel, Titanium, Aluminium", "Two-Burner, Pocket-Size, Piezo Ignition, Windproof"),
        _type("Headlamp", 28, "Aluminium, Rubberised, Polycarbonate", "400 Lumen, USB-C, Red Light Mode, Waterproof"),
        _type("Hiking Backpack", 95, "Ripstop, Waxed Canvas, Cordura", "35 L, 55 L, Rain Cover, Ventilated Back"),
        _type("Gas Canister", 8, "Steel, Refillable, Light Steel", "230 g, 450 g, Winter Mix", 16),
    )),
    Category("Kitchen", 0.5, ("Hearthwell", "Copperline", "Maison Brodeau", "Saltfield", "Oakhurst"), (
        _type("Frying Pan", 48, "Cast Iron, Carbon Steel, Ceramic-Coated", "20 cm, 24 cm, 28 cm, Induction-Ready"),
        _type("Chef's Knife", 62, "Damascus Steel, Carbon Steel, Stainless", "18 cm, 20 cm, Full Tang, Hand-Forged"),
        _type("Chopping Board", 32, "Oak, Bamboo, Walnut", "Juice Groove, Large, Reversible, End-Grain"),
        _type("Saucepan", 42, "Copper, Stainless, Enamel", "1.5 L, 2 L, Glass Lid, Pouring Lip"),
        _type("Mixing Bowl", 22, "Stoneware, Steel, Glass", "Set of 3, Non-Slip, 4 L, With Lid"),
        _type("Storage Jar", 15, "Glass, Stoneware, Tin", "Airtight, 1 L, Set of 4, Cork Lid"),
        _type("Tea Towel", 12, "Linen, Cotton, Waffle Weave", "Pack of 2, Pack of 3, Extra Absorbent"),
    )),
    Category("Coffee & Tea", 0.4, ("Alder Street", "Brewmont", "Casa Tostado", "Leaf & Lore", "Morningside"), (
        _type("Coffee Beans", 14, "Arabica, Single-Origin, Dark Roast", "250 g, 500 g, Decaf, Organic", 13),
        _type("Loose Leaf Tea", 11, "Green, Earl Grey, Rooibos", "100 g, Organic, Caddy, 200 g", 18),
        _type("Pour-Over Dripper", 26, "Ceramic, Glass, Steel", "Size 01, Size 02, With Stand"),
        _type("Coffee Grinder", 68, "Steel, Walnut, Aluminium", "Manual, Electric, Conical Burr, Travel Size"),
        _type("Filter Papers", 6, "Bamboo, Unbleached, Cotton-Blend", "Pack of 100, Size 02, Pack of 200", 20),
        _type("Teapot", 36, "Cast Iron, Glass, Porcelain", "600 ml, 1 L, With Infuser"),
        _type("French Press", 34, "Borosilicate, Steel, Stoneware", "350 ml, 1 L, Double-Walled"),
    )),
    Category("Clothing", 0.45, ("Harlow & Wren", "Ostermann", "Juniper Lane", "Calloway", "Tindra"), (
        _type("Shirt", 48, "Linen, Oxford Cotton, Flannel", "Slim Fit, Relaxed Fit, Button-Down"),
        _type("Jumper", 65, "Merino, Lambswool, Cotton", "Crew Neck, Roll Neck, Chunky Knit"),
        _type("Jeans", 72, "Denim, Stretch Denim, Organic Denim", "Slim Fit, Straight Leg, High Waist"),
        _type("Dress", 78, "Linen, Viscose, Jersey", "Midi, Wrap, Sleeveless, With Pockets"),
        _type("Jacket", 120, "Waxed Cotton, Wool, Softshell", "Hooded, Water-Repellent, Quilted"),
        _type("T-Shirt", 22, "Cotton, Organic Cotton, Hemp", "Crew Neck, Pack of 2, Heavyweight"),
        _type("Scarf", 30, "Cashmere-Blend, Wool, Silk", "Oversized, Fringed, Lightweight"),
    )),
    Category("Shoes & Bags", 0.5, ("Pacer", "Vellano", "Brookstride", "Calloway", "Marlowe"), (
        _type("Trainers", 85, "Mesh, Suede, Canvas", "Cushioned, Low-Top, Wide Fit"),
        _type("Boots", 130, "Leather, Suede, Nubuck", "Chelsea, Lace-Up, Waterproof"),
        _type("Sandals", 52, "Leather, Cork, Vegan Leather", "Buckled, Slip-On, Contoured"),
        _type("Tote Bag", 45, "Canvas, Leather, Jute", "Zipped, Large, Inner Pocket"),
        _type("Belt", 34, "Leather, Woven, Suede", "3 cm, Reversible, Brass Buckle"),
        _type("Wallet", 42, "Leather, Cork, Waxed Canvas", "Slim, RFID-Safe, Coin Pocket"),
        _type("Wool Socks", 14, "Merino, Bamboo, Alpaca", "Pack of 3, Cushioned, Ankle Length", 30),
    )),
    Category("Home", 0.55, ("Lumen & Loom", "Oakhurst", "Tindra", "Vesterbro Studio", "Plumfield"), (
        _type("Cushion", 28, "Velvet, Linen, Boucle", "45 x 45 cm, Feather-Filled, Removable Cover"),
        _type("Throw", 55, "Wool, Cotton, Fleece", "130 x 170 cm, Fringed, Reversible"),
        _type("Scented Candle", 20, "Soy Wax, Beeswax, Coconut Wax", "40 h, Cedar, Fig, Sea Salt", 21),
        _type("Vase", 34, "Stoneware, Glass, Terracotta", "Tall, Hand-Thrown, Small"),
        _type("Picture Frame", 24, "Oak, Brass, Aluminium", "A4, 30 x 40 cm, Set of 2"),
        _type("Table Lamp", 74, "Ceramic, Brass, Rattan", "Dimmable, Touch Control, Linen Shade"),
        _type("Rug", 160, "Wool, Jute, Cotton", "120 x 180 cm, 160 x 230 cm, Washable"),
    )),
    Category("Garden", 0.5, ("Greenacre", "Thornbury", "Verdano", "Stonebrook", "Bramble & Co"), (
        _type("Trowel", 16, "Carbon Steel, Ash-Handled, Stainless", "Hand-Forged, Narrow, Transplanting"),
        _type("Pruning Shears", 32, "Carbon Steel, Titanium-Coated, Stainless", "Bypass, Left-Handed, Ratchet"),
        _type("Plant Pot", 20, "Terracotta, Stoneware, Zinc", "18 cm, 25 cm, With Saucer, Set of 3"),
        _type("Wildflower Seeds", 7, "Native, Organic, Pollinator", "50 g, Shade Mix, Annual Mix", 14),
        _type("Watering Can", 30, "Zinc, Steel, Copper", "5 L, 9 L, Long-Reach Spout"),
        _type("Gardening Gloves", 17, "Leather, Cotton, Nitrile", "Thorn-Proof, Size M, Size L"),
        _type("Potting Compost", 10, "Peat-Free, Coir, Enriched", "20 L, 40 L, For Seedlings", 15),
    )),
    Category("Pets", 0.45, ("Barkley's", "Whiskerton", "Happy Tails", "Paw & Order", "Norrvik"), (
        _type("Dog Food", 38, "Salmon, Lamb, Grain-Free Chicken", "3 kg, 10 kg, Senior, Puppy", 15),
        _type("Cat Treats", 6, "Salmon, Chicken, Tuna", "60 g, Crunchy, Dental", 9),
        _type("Dog Lead", 24, "Rope, Leather, Nylon", "1.5 m, Hands-Free, Reflective"),
        _type("Pet Bed", 58, "Fleece, Memory Foam, Wool", "Medium, Large, Washable, Orthopaedic"),
        _type("Scratching Post", 46, "Sisal, Cardboard, Oak", "Tall, Wall-Mounted, With Platform"),
        _type("Pet Collar", 18, "Leather, Nylon, Cork", "Reflective, Adjustable, Quick-Release"),
        _type("Chew Toy", 11, "Natural Rubber, Rope, Hemp", "Floating, Treat-Dispensing, Extra Tough"),
    )),
    Category("Beauty", 0.45, ("Avelline", "Saltfield", "Botanica Nove", "Kind Apothecary", "Mireille"), (
        _type("Shampoo", 12, "Rosemary, Oat, Argan", "250 ml, For Dry Hair, Refill, Sulphate-Free", 18),
        _type("Face Cream", 26, "Hyaluronic, Aloe, Shea", "50 ml, SPF 30, Fragrance-Free, Night", 20),
        _type("Soap Bar", 7, "Olive Oil, Lavender, Charcoal", "100 g, Pack of 3, Hand-Cut", 12),
        _type("Lip Balm", 5, "Beeswax, Cocoa, Mint", "SPF 15, Tinted, Pack of 2", 17),
        _type("Hairbrush", 22, "Bamboo, Boar Bristle, Beech", "Paddle, Detangling, Travel Size"),
        _type("Bath Towel", 30, "Cotton, Waffle, Bamboo", "70 x 140 cm, Set of 2, Extra Thick"),
        _type("Body Oil", 24, "Almond, Jojoba, Rosehip", "100 ml, Dry Finish, Unscented", 25),
    )),
    Category("Toys", 0.5, ("Tumbledown", "Little Foxglove", "Brickwell", "Happy Tails", "Kobold Games"), (
        _type("Building Blocks", 36, "Beech, Recycled Plastic, Cork", "60 Pieces, 120 Pieces, Magnetic"),
        _type("Jigsaw Puzzle", 18, "Cardboard, Wooden, Recycled Card", "500 Pieces, 1000 Pieces, Illustrated"),
        _type("Board Game", 38, "Linen-Card, Wooden, Boxed", "2-4 Players, Cooperative, For Families"),
        _type("Plush Toy", 24, "Organic Cotton, Alpaca-Soft, Corduroy", "Fox, Bear, Whale, Machine Washable"),
        _type("Craft Kit", 22, "Felt, Clay, Paper", "Age 5+, Age 8+, For Two"),
        _type("Toy Train", 46, "Beech, Tin, Wooden", "With Tracks, Battery-Powered, 20 Pieces"),
        _type("Colouring Pencils", 12, "Cedar, Beeswax, Recycled Wood", "Set of 12, Set of 24, Watercolour", 28),
    )),
    Category("Electronics", 0.5, ("Voltaire Audio", "Nuvio", "Kitsune Labs", "Halden", "Pacer"), (
        _type("Headphones", 110, "Aluminium, Vegan Leather, Matte", "Noise-Cancelling, Wireless, Open-Back, 40 h"),
        _type("Bluetooth Speaker", 72, "Walnut, Aluminium, Fabric", "Waterproof, 20 h, Stereo Pair"),
        _type("Phone Case", 24, "Vegan Leather, Silicone, Bamboo", "Magnetic, Shockproof, Card Slot"),
        _type("Fast Charger", 30, "Matte, Graphene, Aluminium", "65 W, Two-Port, Travel"),
        _type("Power Bank", 38, "Aluminium, Rubberised, Matte", "10000 mAh, 20000 mAh, Solar"),
        _type("Keyboard", 88, "Aluminium, Walnut, Matte", "Mechanical, Low-Profile, Wireless"),
        _type("Desk Lamp", 58, "Aluminium, Brass, Oak", "Clamp-On, Wireless Charging, Dimmable"),
    )),
    Category("Sport", 0.45, ("Pacer", "Ironleaf", "Vantage", "Kestrel & Pine", "Sora Active"), (
        _type("Yoga Mat", 42, "Cork, Natural Rubber, Jute", "5 mm, Non-Slip, Carry Strap"),
        _type("Dumbbells", 52, "Cast Iron, Neoprene, Steel", "2 x 3 kg, 2 x 5 kg, Adjustable"),
        _type("Resistance Bands", 19, "Latex, Fabric, Natural Rubber", "Set of 3, Set of 5, Extra Strong"),
        _type("Running Shorts", 36, "Recycled Mesh, Stretch, Light", "5 inch, Zip Pocket, Lined"),
        _type("Foam Roller", 26, "Cork, Foam, EVA", "33 cm, Ridged, Vibrating"),
        _type("Insulated Bottle", 29, "Steel, Titanium, Recycled Steel", "500 ml, 750 ml, Straw Lid"),
        _type("Protein Bars", 19, "Oat, Peanut, Cocoa", "Box of 12, Vegan, No Added Sugar", 10),
    )),
)  # fmt: skip
"""The assortment, seven product types a category."""

KITS: tuple[tuple[str, ...], ...] = (
    ("Tent", "Sleeping Bag", "Sleeping Mat", "Camping Stove", "Gas Canister", "Headlamp"),
    ("Hiking Backpack", "Insulated Bottle", "Wool Socks", "Boots", "Power Bank"),
    ("Frying Pan", "Chef's Knife", "Chopping Board", "Saucepan", "Tea Towel"),
    ("Mixing Bowl", "Storage Jar", "Tea Towel"),
    ("Coffee Grinder", "Coffee Beans", "Pour-Over Dripper", "Filter Papers"),
    ("Teapot", "Loose Leaf Tea", "Tea Towel", "Storage Jar"),
    ("Jeans", "Shirt", "Belt", "Jacket", "Boots"),
    ("Dress", "Sandals", "Tote Bag", "Scarf"),
    ("T-Shirt", "Running Shorts", "Trainers", "Wool Socks", "Insulated Bottle"),
    ("Jumper", "Scarf", "Wool Socks"),
    ("Rug", "Cushion", "Throw", "Table Lamp", "Scented Candle"),
    ("Vase", "Picture Frame", "Scented Candle"),
    ("Plant Pot", "Potting Compost", "Wildflower Seeds", "Watering Can", "Trowel"),
    ("Pruning Shears", "Gardening Gloves", "Trowel"),
    ("Pet Bed", "Dog Food", "Dog Lead", "Pet Collar", "Chew Toy"),
    ("Scratching Post", "Cat Treats", "Pet Bed"),
    ("Shampoo", "Hairbrush", "Body Oil", "Bath Towel"),
    ("Face Cream", "Lip Balm", "Soap Bar", "Scented Candle"),
    ("Building Blocks", "Toy Train", "Plush Toy"),
    ("Craft Kit", "Colouring Pencils", "Jigsaw Puzzle", "Board Game"),
    ("Keyboard", "Desk Lamp", "Headphones", "Fast Charger"),
    ("Phone Case", "Fast Charger", "Power Bank", "Bluetooth Speaker"),
    ("Yoga Mat", "Foam Roller", "Resistance Bands", "Insulated Bottle"),
    ("Dumbbells", "Protein Bars", "Resistance Bands", "Running Shorts"),
)
"""Product types that are bought together, in the order in which shoppers look for them."""

STYLES: dict[str, tuple[str, ...]] = {
    "Nordic": ("White", "Pale Grey", "Birch"),
    "Vintage": ("Cream", "Dusty Rose", "Mustard"),
    "Rugged": ("Olive", "Slate", "Tan"),
    "Minimal": ("Black", "White", "Stone"),
    "Playful": ("Sunny Yellow", "Coral", "Sky Blue"),
    "Botanical": ("Sage", "Forest Green", "Cream"),
    "Industrial": ("Charcoal", "Black", "Rust"),
    "Coastal": ("Navy", "Sky Blue", "Sand"),
    "Heritage": ("Burgundy", "Tan", "Forest Green"),
    "Bohemian": ("Terracotta", "Plum", "Mustard"),
}
"""Words of style and the colours that go with each: the part of taste that a title gives away."""
