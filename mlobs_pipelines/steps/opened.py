"""What to open of a suspect: the materializations of its first day, who wrote each, and what went into them.

Read from the commits of the tables and the records of the deliveries; how it is shown is not known here.
"""

from collections.abc import Mapping
from typing import Any

from mlobs_pipelines.contracts.odcs import DATASETS
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.commits import Commits
from mlobs_pipelines.store.tables import DELIVERIES

ALSO = {
    "skew": ("feature_snapshots", "prediction_log"),
    "drift": ("prediction_log",),
    "score": ("prediction_log",),
    "labels": ("labelled_predictions",),
    "operations": ("prediction_log",),
    "relation": ("labelled_predictions",),
    "outcomes": ("labelled_predictions",),
    "segment": ("labelled_predictions",),
}
INPUTS = {
    "metrics": "statistics",
    "prediction_log": "predictions",
    "feature_snapshots": "features",
    "labelled_predictions": "prediction_log",
}


class Opened:
    """Materializations of one model, by asset and day; the log of each table is read once."""

    def __init__(self, walk: Walk, url: str = "") -> None:
        """Begin without having read anything.

        Parameters
        ----------
        url
            Where Dagster's pages are; "" for no links.
        """
        self._walk, self._url = walk, url.rstrip("/")
        self._commits: dict[str, Commits] = {}

    def of(self, suspect: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What to open of a suspect, the asset that shows it first."""
        names = dict.fromkeys([suspect["asset"], *ALSO.get(suspect["kind"], ())])
        return [self._one(name, suspect["begin"]) for name in names]

    def _one(self, asset: str, day: str) -> dict[str, Any]:
        writer = self._table(asset).writer(day)
        return {
            "asset": asset,
            "partition": day,
            "run_id": writer.run_id if writer else "",
            "table_version": writer.table_version if writer else None,
            "code_version": writer.code_version if writer else "",
            "inputs": self._delivered(asset, day) if asset in DATASETS else self._read(asset, day),
            "link": self.link(asset, day),
        }

    def link(self, asset: str, day: str) -> str:
        """The page of a partition in Dagster; "" where it is not known where Dagster is."""
        page = f"{self._url}/assets/{self._walk.model}/{asset}?view=partitions&partition={day}"
        return page if self._url else ""

    def _table(self, name: str) -> Commits:
        if name not in self._commits:
            self._commits[name] = Commits.of(self._walk.lake, self._walk.model, name)
        return self._commits[name]

    def _read(self, asset: str, day: str) -> list[str]:
        source = INPUTS.get(asset)
        writer = self._table(source).writer(day) if source else None
        return [f"{source} version {writer.table_version}"] if writer else []

    def _delivered(self, dataset: str, day: str) -> list[str]:
        """Deliveries of a day: their names, states and the beginnings of their hashes."""
        where = {"dataset": dataset, "day": day}
        rows = self._walk.lake.read(self._walk.model, DELIVERIES, where=where).to_pylist()
        return [f"{row['delivery']} {row['state']} sha256 {row['sha256'][:12]}" for row in rows]
