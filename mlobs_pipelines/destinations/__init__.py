"""FLOOR 1: where results go. One file per kind of place, and the parts of the HTML report beside it."""
