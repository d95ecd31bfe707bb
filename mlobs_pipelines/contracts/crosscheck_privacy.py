"""Whether what is kept of identifying columns leaves the columns that the walk joins, orders and judges by.

Whether a policy fits its own column is `custom_properties`.
"""

from collections.abc import Iterator, Mapping

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.contracts.odcs import Contract, Dataset, Privacy, Table
from mlobs_pipelines.contracts.problems import Problem

Need = tuple[tuple[Privacy, ...], str]
_MATCHED = (Privacy.KEEP, Privacy.HASH)
_PLAIN = (Privacy.KEEP,)
_JOINED = ("prediction_id", "correlation_id")
_PLAIN_COLUMNS: Mapping[Dataset, tuple[str, ...]] = {
    "predictions": (
        "predicted_at",
        "model_version",
        "role",
        "training_dataset_id",
        "feature_set_version",
        "score",
        "status",
        "latency_ms",
        "queue_ms",
    ),
    "features": (),
    "labels": ("label", "outcome", "arrived_at", "revision", "source"),
}


def privacy_problems(
    contracts: Mapping[Dataset, Contract], documents: Mapping[str, Document], monitor: Monitor | None
) -> Iterator[Problem]:
    """Return columns that must be matched or read and whose values are not kept for it."""
    for dataset, contract in contracts.items():
        for position, table in enumerate(contract.tables):
            needs = _needs(dataset, table, monitor)
            for place, column in enumerate(table.columns):
                allowed, why = needs.get(column.name, ((), ""))
                if allowed and column.privacy not in allowed:
                    said = f"{column.name} is {why} and stored by privacy: {column.privacy}"
                    valid = f"valid: {' or '.join(allowed)}"
                    path = ("schema", position, "properties", place)
                    yield documents[dataset].problem(path, said, valid)
    yield from _one_policy(contracts, documents)


def _needs(dataset: Dataset, table: Table, monitor: Monitor | None) -> dict[str, Need]:
    """Return the columns of a table that the walk needs: what may be kept of each, and what it is."""
    needs: dict[str, Need] = dict.fromkeys(table.primary_key, (_MATCHED, "part of the primary key"))
    if dataset != "features":
        needs |= dict.fromkeys(_JOINED, (_MATCHED, "what rows are joined by"))
    needs |= dict.fromkeys(_PLAIN_COLUMNS[dataset], (_PLAIN, "read on the way"))
    if table.correction:
        needs[table.correction] = (_PLAIN, "what tells the later of two rows")
    return needs | _monitored(dataset, table, monitor)


def _monitored(dataset: Dataset, table: Table, monitor: Monitor | None) -> dict[str, Need]:
    if monitor is None or dataset == "labels":
        return {}
    if dataset == "predictions":
        views = [view.entity for view in monitor.feature_views.values()]
        scores: dict[str, Need] = dict.fromkeys(monitor.score_columns, (_PLAIN, "read on the way"))
        return {**dict.fromkeys([*monitor.entities, *views], (_MATCHED, "an entity")), **scores}
    view = monitor.feature_views.get(table.name)
    if view is None:
        return {}
    times = (_PLAIN, "a time that lookups go by")
    return {view.entity: (_MATCHED, "an entity"), view.event_time: times, view.created_at: times}


def _one_policy(
    contracts: Mapping[Dataset, Contract], documents: Mapping[str, Document]
) -> Iterator[Problem]:
    """Return labels that are stored under another id than their predictions."""
    if not {"predictions", "labels"} <= contracts.keys():
        return
    ids = [
        next((column for column in contracts[name].tables[0].columns if column.name == "prediction_id"), None)
        for name in ("predictions", "labels")
    ]
    if ids[0] and ids[1] and ids[0].privacy is not ids[1].privacy:
        place = contracts["labels"].tables[0].names.index("prediction_id")
        said = (
            f"prediction_id is stored by privacy: {ids[1].privacy} here and {ids[0].privacy} in predictions"
        )
        valid = "give it one classification and privacy in both contracts"
        yield documents["labels"].problem(("schema", 0, "properties", place), said, valid)
