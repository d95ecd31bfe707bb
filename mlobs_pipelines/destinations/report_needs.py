"""Which metrics, windows and columns the report shows, so that no other row need be read for it.

Whoever adds a section to a view finds here what must be asked for.
"""

from mlobs_pipelines.destinations import report_operator as operator
from mlobs_pipelines.destinations import report_rows
from mlobs_pipelines.destinations import report_science as science
from mlobs_pipelines.destinations import report_slices as slices
from mlobs_pipelines.destinations import report_tables as tables

COLUMNS = report_rows.COLUMNS
HEADLINES, SLICED, SLICE_WINDOW = tables.HEADLINES, slices.SLICED, slices.WINDOW
# Values that are there once for all rows of a window
OF_ROWS = sorted(
    {name for name, _ in (*science.TRENDS, *operator.REQUESTS, *operator.LABELS)}
    | {*operator.GLANCE, *science.DEVELOPED, *tables.MONTH_COLUMNS, *tables.TILE_METRICS, *slices.PAIRED}
    | {*science.ESTIMATED, *(f"estimated_{name}" for name in science.ESTIMATED)}
)
CURVES = ("reliability_score", "reliability_observed", "label_lag_cdf")
OF_SCORE = tuple(name for name, _ in science.SCORE_DRIFT)
# Values that are there for every feature: whose judged window is shown, and which one where none is
OF_FEATURES = {
    "psi": ("psi", "7d"),
    "null_share": ("null_share", "7d"),
    **dict.fromkeys(tables.SKEW, (tables.SKEW[0], "1d")),
}
