"""FLOOR 2: a row's walk as plain functions, a file per step. Steps never import each other, nor Dagster.

`walk` holds what every step is given and what it returns; `layouts` the tables they hand rows over in.
"""
