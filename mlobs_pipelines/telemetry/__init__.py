"""What the product tells of itself while it works: structured logs, and spans and metrics where asked for.

Counts, names and ids only. What is told of data, that is metadata and reports, is made elsewhere.
"""
