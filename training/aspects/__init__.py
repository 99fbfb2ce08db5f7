"""What a review is about: labelled sentences in, a model of product, service and delivery with their moods out.

Read in this order: `sentences`, `model`, `train`, `export`, `floor`, `figures`, `evaluation`.
"""
