"""The words of reviews: sentences by tone, with blanks such as {this} ("this tent", "these jeans") and {is}."""

OPENINGS: dict[str, tuple[str, ...]] = {
    "great": (
        "Absolutely love {this}.", "Best {noun} I have ever owned.", "{this} {is} fantastic.", "I am thrilled.",
        "Wow, what a lovely {noun}.", "Could not be happier with {this}.", "Five stars, no hesitation.",
        "Exceeded my expectations in every way.", "I can't fault {this} at all.", "Superb from start to finish.",
        "{this} {is} an absolute joy to use.", "Outstanding quality.", "My new favourite, without a doubt.",
        "Worth every penny.", "Simply brilliant.", "{the} {is} even better than in the pictures.",
        "I have never been so pleased with {a}.", "Perfect, just perfect.", "Nothing to complain about, only praise.",
        "{brand} got everything right here.", "I was sceptical, but {this} won me over completely.",
        "Wish I had bought {this} years ago.", "My {person} adores {this}.", "Beautiful and so well made.",
    ),
    "good": (
        "Really happy with {this}.", "Good {noun}, does what it should.", "Pleased with the purchase.",
        "Not bad at all.", "I like {this} a lot.", "Can't complain.", "Solid quality for the money.",
        "{this} {is} nice and well made.", "A good buy.", "Better than I expected.", "Works well so far.",
        "No regrets about buying {this}.", "{the} turned out to be a sensible choice.", "Very decent {noun}.",
        "Happy customer here.", "I would buy {this} again.", "Nothing wrong with {this}, good value.",
        "{this} {has} not let me down yet.", "Pretty good overall.", "Nice to look at and pleasant to use.",
        "My {person} was pleased with {this}.", "Good, though I have only had {them} for {days} days.",
    ),
    "mixed": (
        "{the} {is} okay.", "Not bad, not great.", "It's fine, nothing special.", "I have mixed feelings about {this}.",
        "Average {noun}.", "{this} {is} all right I suppose.", "Does the job, no more than that.",
        "Neither impressed nor disappointed.", "So-so.", "I expected a little more, but it will do.",
        "Some things are good, others less so.", "Ordinary {noun} at an ordinary price.", "Three stars from me.",
        "{the} {is} acceptable.", "Good idea, half-good execution.", "I'm still undecided about {this}.",
        "Middle of the road.", "It is what it is.", "Neither the best nor the worst {noun} I have had.",
        "Looks good but could be better made.", "My {person} likes {them}, I am not so sure.",
    ),
    "bad": (
        "Disappointed with {this}.", "Not what I hoped for.", "I would not buy {this} again.", "Not very good.",
        "{this} {is} worse than I expected.", "I wanted to like {this}, but I can't.", "Poor value for money.",
        "Nothing like the pictures.", "Rather let down by {this}.", "I expected better from {brand}.",
        "Not happy with {this}.", "{the} looked good online, less so at home.", "Below average {noun}.",
        "Thinking of sending {them} back.", "Not as described.", "I can't really recommend {this}.",
        "Sadly {this} did not work for me.", "The quality isn't great.", "I regret choosing {this}.",
        "My {person} was not impressed.", "Hardly worth half the price.", "Could be a lot better.",
    ),
    "awful": (
        "Terrible {noun}.", "Complete waste of money.", "Avoid.", "{this} {is} awful.", "Worst purchase of the year.",
        "I want my money back.", "Utter rubbish.", "Absolutely useless.", "I have never been so disappointed.",
        "{the} broke on the first day.", "Dreadful quality.", "Do not buy {this}.", "Went straight in the bin.",
        "Shocking, for this price.", "One star is too many.", "{this} {is} a joke.", "Horrible, just horrible.",
        "{the} fell apart after {days} days.", "I am really angry about {this}.", "Returned at once.",
        "Nothing good to say about {this}.", "My {person} hated {them}.", "Unusable.",
    ),
}  # fmt: skip
"""First sentences."""

POINTS: dict[str, tuple[str, ...]] = {
    "good": (
        "The {material} feels lovely.", "The finish is flawless.", "{it} look{s} exactly as in the photo.",
        "I use {them} every day.", "The colour is beautiful.", "You can tell {it} {was} made with care.",
        "Sturdy and well thought out.", "Great value for the price.", "The size is just right.",
        "I have had no problems with {them}.", "{it} feel{s} expensive but {does} not cost much.",
        "After {days} days of use still like new.", "The details are a delight.", "Everyone asks where I got {them}.",
        "Easy to look after.", "The {material} is of excellent quality.", "I would choose {brand} again.",
        "My {person} wants one too.", "Nothing came loose, nothing faded.", "A pleasure to have around.",
        "Cheaper than elsewhere and better made.", "I never thought {a} could be this good.",
        "Comfortable from the first moment.", "{it} {does} not wobble, squeak or scratch.",
    ),
    "bad": (
        "The {material} feels cheap.", "The finish is rough.", "{it} look{s} nothing like the photo.",
        "I have stopped using {them}.", "The colour is off.", "{it} {was} clearly made in a hurry.",
        "Flimsy and badly thought out.", "Far too expensive for what it is.", "The size is wrong.",
        "I have had nothing but problems with {them}.", "{it} cost{s} a lot and feel{s} like nothing.",
        "After {days} days {it} already look{s} worn.", "A seam came apart.", "There was a scratch on arrival.",
        "Hard to keep clean.", "The {material} is of poor quality.", "I won't choose {brand} again.",
        "My {person} gave up on {them}.", "The colour faded quickly.", "{it} smell{s} odd.",
        "You get better for half the price elsewhere.", "I never thought {a} could be this bad.",
        "Uncomfortable from the first moment.", "{it} {does} not do what the description promises.",
    ),
}  # fmt: skip
"""Sentences that praise or blame one thing."""

MIXED_POINTS: tuple[str, ...] = (
    "The {material} is nice but the finish could be better.", "Looks lovely, feels a bit cheap.",
    "The colour is good, the size less so.", "A little expensive, but {it} work{s}.", "{it} {does} the job, slowly.",
    "Good at first, a bit worn after {days} days.", "The design is better than the quality.",
    "I like the look, not the feel.", "Cheap, and you notice, but usable.", "Not as good as my old one, not terrible.",
    "{it} work{s}, though I expected more of {brand}.", "Fine for the price, I would not pay more.",
)  # fmt: skip
"""Sentences that do both."""

CONCESSIONS: dict[str, tuple[str, ...]] = {
    "good": (
        "Only the price is a bit high.", "The packaging could be nicer, but who cares.", "One small scratch, no drama.",
        "Not the cheapest, but it is worth it.", "Took a while to get used to, now I like it.",
        "If I had to complain: the colour is slightly darker than shown.", "Could be a touch bigger.",
    ),
    "bad": (
        "At least the colour is nice.", "To be fair, {it} look{s} pretty.", "The idea is good, the execution isn't.",
        "The only good thing is the price.", "Maybe I was unlucky with mine.", "It might suit someone else.",
        "The {material} is pleasant, the rest is not.",
    ),
}  # fmt: skip
"""What a moderate review grants the other side."""

SIDES: dict[str, tuple[str, ...]] = {
    "good": (
        "Delivery was quick.", "Arrived a day early and well packed.", "Customer service was friendly and fast.",
        "Nicely wrapped, good as a gift.", "Shipping took two days, great.", "The return was easy.",
    ),
    "bad": (
        "Delivery took {days} days.", "The box was damaged.", "Customer service never answered.",
        "Arrived late and badly packed.", "The parcel went to the wrong address first.", "No instructions included.",
    ),
}  # fmt: skip
"""About the shop rather than the product."""

FACTS: tuple[str, ...] = (
    "Bought {this} for my {person}.", "I ordered {this} {days} days ago.", "This is my second {noun} from {brand}.",
    "I needed {a} for the weekend.", "It replaces an old one.", "I compared several before ordering.",
    "We use {them} at home.", "Got {this} as a gift for my {person}.", "I had been looking for {a} for a while.",
)  # fmt: skip
"""Without any tone."""

ENDINGS: dict[str, tuple[str, ...]] = {
    "great": (
        "Highly recommended.", "Buy it, you won't regret it.", "Ordering another one today.", "10/10.", "Thank you!",
        "I tell everyone about {this}.", "Can't recommend it enough.", "Will last for years.",
    ),
    "good": (
        "Recommended.", "Would order again.", "Good choice.", "Happy overall.", "No complaints.", "Four stars.",
        "Does exactly what I need.",
    ),
    "mixed": (
        "It's okay.", "Make up your own mind.", "Might keep {them}, might not.", "Fine for now.",
        "Neither recommended nor not.", "You get what you pay for.",
    ),
    "bad": (
        "Not recommended.", "I'll look elsewhere next time.", "A pity.", "Wouldn't order again.", "Two stars at most.",
        "Expected more.",
    ),
    "awful": (
        "Stay away.", "Never again.", "Save your money.", "Asking for a refund.", "0/10.", "Lesson learned.",
        "I warn everyone about {this}.",
    ),
}  # fmt: skip
"""Last sentences."""

SARCASM: tuple[str, ...] = (
    "Great, {a} that break{s} in a week.", "Well done {brand}, you fooled me.",
    "Lovely, if you enjoy throwing money away.", "Just what I always wanted: {a} that fall{s} apart.",
    "Oh, wonderful, it arrived broken.",
)  # fmt: skip
"""Praise in words only."""

TYPE_POINTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Camping": {
        "good": ("Kept us dry through a stormy night.", "Light enough to carry all day.", "Packs down small."),
        "bad": ("It let the rain in.", "Too heavy to carry far.", "Failed on the first cold night."),
    },
    "Kitchen": {
        "good": ("Nothing sticks, easy to wash.", "Well balanced in the hand.", "Cooks evenly."),
        "bad": ("Everything sticks to it.", "It rusted after one wash.", "Warped on the hob."),
    },
    "Coffee & Tea": {
        "good": ("Rich and full of flavour.", "My mornings are so much better.", "Smells wonderful."),
        "bad": ("Tastes bitter and stale.", "The aroma is gone.", "{it} drip{s} everywhere."),
    },
    "Clothing": {
        "good": ("Fits like a glove.", "Soft and washes well.", "True to size and flattering."),
        "bad": ("Shrank in the first wash.", "Runs far too small.", "The fabric is thin and itchy."),
    },
    "Shoes & Bags": {
        "good": ("Comfortable all day long.", "The stitching is excellent.", "No blisters, not even on day one."),
        "bad": ("Gave me blisters.", "The sole came off.", "The zip broke straight away."),
    },
    "Home": {
        "good": ("It makes the room so cosy.", "Looks stunning in the living room.", "Warm, soft light and colours."),
        "bad": ("It sheds everywhere.", "Looks cheap in the room.", "It arrived cracked."),
    },
    "Garden": {
        "good": ("My garden has never looked better.", "Cuts and digs with ease.", "Everything came up within days."),
        "bad": ("Bent in the first hard soil.", "Nothing ever came up.", "{it} leak{s}."),
    },
    "Pets": {
        "good": ("The dog is crazy about {them}.", "Our cat sleeps and plays with {them}.", "Survived a lively puppy."),
        "bad": ("The dog won't touch {them}.", "Our cat ignores {them} completely.", "Chewed to bits within an hour."),
    },
    "Beauty": {
        "good": ("My skin feels so soft.", "Smells divine, not too strong.", "A little goes a long way."),
        "bad": ("It gave me a rash.", "Smells of chemicals.", "Greasy, and it does nothing."),
    },
    "Toys": {
        "good": ("The children play with {them} for hours.", "Robust and safe for small hands.", "Fun for all of us."),
        "bad": ("The children lost interest at once.", "Pieces were missing.", "Sharp edges, not for children."),
    },
    "Electronics": {
        "good": ("The battery lasts for days.", "Crisp, clear and quick to set up.", "Connects at once, every time."),
        "bad": ("The battery dies within an hour.", "{it} keep{s} losing the connection.", "Overheats all the time."),
    },
    "Sport": {
        "good": ("Great grip, even when sweaty.", "Improved my training.", "Holds up to daily workouts."),
        "bad": ("Slips all the time.", "Snapped during the first workout.", "Left marks on my hands."),
    },
}  # fmt: skip
"""Sentences for the goods of one category."""

PEOPLE: tuple[str, ...] = (
    "wife", "husband", "mother", "father", "sister", "brother", "daughter", "son", "friend", "partner", "neighbour",
)  # fmt: skip

NOT_SUBSTANCES = frozenset((
    "extra long", "refillable", "winter", "unbleached", "green", "oversized", "matte", "native", "organic", "annual",
    "pollinator", "enriched", "wooden", "boxed", "illustrated", "light", "light steel", "stretch", "insulated",
    "quilted", "woven", "single-origin", "dark roast", "titanium-coated", "ash-handled", "ceramic-coated", "stainless",
    "recycled card", "linen-card", "alpaca-soft", "rubberised", "hyaluronic", "waffle", "peat-free",
))  # fmt: skip
"""Materials that are no substance one can speak of: such reviews say "the material"."""

FULL_NAMES_ONLY = frozenset(("power bank", "watering can", "scratching post", "chopping board", "lip balm"))
"""Names whose last word alone would mean something else."""
