"""Next item, from sequences alone: public protocols, floors, the sequence model and its measurement.

In: files of item ids in order (`sequences`). Out: figures of a model trained from scratch beside those of simple
rules (`evaluation`), and a graph (`export`).
"""
