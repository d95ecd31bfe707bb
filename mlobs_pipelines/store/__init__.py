"""Floor 1: the lake, its tables, and the metric store.

Everything that is written to or read back from Delta tables lives here. What the tables mean is decided a
floor above; where rows come from is none of this folder's business.
"""
