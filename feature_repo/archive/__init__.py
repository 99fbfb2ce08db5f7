"""The archive: every topic's records in Parquet files, written once, and read back in the order of arrival.

`layout` names the files, `records` says what is in them, `writing` makes them, `reading` reads them back, and
`feature_values` replays them into the feature values of every moment, which Feast's offline store reads.
"""
