"""Ingest: deliveries of a slot of time become rows of their event days, under contract.

`step` is the way in. A delivery goes through `intake`, waits in `spool`, is published by `publication` with
`repeats` kept beside, leaves its record in `evidence`, and its days are judged by `judging`; `release` lets
rows out of quarantine that pass `recheck`.
"""

from mlobs_pipelines.steps.ingest.step import LAYOUTS, ingest

__all__ = ["LAYOUTS", "ingest"]
