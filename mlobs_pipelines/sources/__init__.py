"""FLOOR 1: one file per kind of place rows come from. A source reads deliveries; it judges no row."""
