"""A toy model that every case changes a little: its documents, its rows, and where they are delivered.

What a case promises is `promise`; the cases themselves are the `cases_*` files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlobs_pipelines.contracts.documents import read_document
from mlobs_pipelines.contracts.folder import ModelSpec, load_model
from mlobs_pipelines.contracts.odcs import Contract
from mlobs_pipelines.contracts.odcs_reader import read_contract
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.settings import HashKey, HashKeys

DAY = date(2024, 3, 10)  # the clocks of New York skip an hour on it
BEFORE, AFTER = DAY - timedelta(days=1), DAY + timedelta(days=1)
AUTUMN = date(2024, 11, 3)  # and repeat one on this
KEYS = HashKeys(HashKey(b"a key of the tests, long enough", "testkey0"))
MARK, DIGITS = "canary-7f3a", 730173
"""A text and a number that stand in delivered values, and may be said nowhere."""

Row = dict[str, Any]
Properties = Mapping[str, Mapping[str, Any] | None]


def _property(name: str, kind: str, **more: object) -> Row:
    return {"name": name, "logicalType": kind, "classification": "internal", "description": name, **more}


def _enum(*words: str) -> list[Row]:
    return [{"value": word} for word in words]


_PREDICTIONS = [
    _property("prediction_id", "string", required=True, primaryKey=True, primaryKeyPosition=1),
    _property("correlation_id", "string"),
    _property("predicted_at", "timestamp", required=True),
    _property("model_version", "string", required=True, primaryKey=True, primaryKeyPosition=2),
    _property("role", "string", required=True, enum=_enum("champion", "shadow", "canary")),
    _property("training_dataset_id", "string"),
    _property("feature_set_version", "string"),
    _property("score", "number", logicalTypeOptions={"minimum": 0, "maximum": 1}),
    _property("status", "string", required=True, enum=_enum("ok", "error", "timeout")),
    _property("latency_ms", "number", logicalTypeOptions={"minimum": 0}),
    _property("customer", "string") | {"classification": "restricted"},
    _property("amount", "number", required=True),
    _property("region", "string"),
    _property("items", "integer"),
    _property("member", "boolean"),
    _property("since", "date"),
    _property("note", "string"),
]
_FEATURES = [
    _property("region", "string", required=True, primaryKey=True, primaryKeyPosition=1),
    _property("observed_at", "timestamp", required=True, primaryKey=True, primaryKeyPosition=2),
    _property("available_at", "timestamp", required=True),
    _property("region_rate", "number"),
]
_LABELS = [
    _property("prediction_id", "string", required=True, primaryKey=True, primaryKeyPosition=1),
    _property("label", "integer", logicalTypeOptions={"minimum": 0, "maximum": 1}),
    _property("outcome", "string", required=True, enum=_enum("bad", "good", "void")),
    _property("arrived_at", "timestamp", required=True),
    _property("revision", "integer", required=True, primaryKey=True, primaryKeyPosition=2),
    _property("source", "string"),
]
_MONITOR = {
    "model": "toy",
    "description": "Nothing but rows to deliver.",
    "task": "binary",
    "owners": ["team:toys"],
    "runbook": "https://example.org/runbooks/toy",
    "start_date": "2024-03-01",
    "segments": ["region"],
    "features": [{"name": "amount", "kind": "numeric"}, {"name": "region", "kind": "categorical"}],
    "feature_views": {"regions": {"entity": "region", "ttl": "12h"}},
    "labels": {"horizon": "3d", "horizons": ["1d", "3d"]},
    "versions": {"a": {"baseline": "{landing}/a.parquet", "facts": "{landing}/a.json"}},
    "windows": ["1d"],
    "schedule": {"cron": "0 6 * * *"},
}


@dataclass(frozen=True)
class Toy:
    """How the declaration of the toy model differs in one case.

    Attributes
    ----------
    form
        Format of the predictions.
    columns
        Keys of columns of the predictions to add or change, by column; None takes the column out.
    server, properties
        Further keys of the server of predictions and of its table.
    quality
        Rules of the table of predictions.
    sampling
        Section of the monitor.
    older
        An older version of the predictions, if one is declared.
    version
        Of the contract.
    """

    form: str = "csv"
    columns: Properties = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    quality: Sequence[Mapping[str, Any]] = ()
    sampling: Mapping[str, Any] | None = None
    older: "Older | None" = None
    version: str = "1.0.0"

    def spec(self) -> ModelSpec:
        """The declaration as the product reads it."""
        predictions = self._predictions(_changed(self.columns), self.version)
        if self.older is None and self.sampling is None:
            contract = _contract(json.dumps(predictions, indent=1))
            return replace(
                _spec(json.dumps(_documents(Toy()._predictions(_PREDICTIONS, "1.0.0")))), predictions=contract
            )
        documents = _documents(predictions)
        documents["monitor.yaml"] |= {"sampling": self.sampling} if self.sampling else {}
        if self.older is not None:
            old = self._predictions(_changed(self.older.columns), self.older.version)
            old["customProperties"] = [
                {"property": "acceptedUntil", "value": self.older.until},
                {"property": "upcast", "value": {"predictions": self.older.upcast}},
            ]
            documents[f"older/predictions-{self.older.version}.odcs.yaml"] = old
        return _spec(json.dumps(documents))

    def _predictions(self, columns: list[Row], version: str) -> Row:
        document = _document("predictions", "predictions", columns, self.form)
        document["version"] = version
        document["servers"][0] |= self.server
        document["schema"][0] |= self.properties
        if self.quality:
            document["schema"][0]["quality"] = list(self.quality)
        return document


@dataclass(frozen=True)
class Older:
    """An older version of the predictions: what differs from the first one, and how its rows come forward."""

    until: str
    columns: Properties = field(default_factory=dict)
    upcast: Mapping[str, Any] = field(default_factory=dict)
    version: str = "1.0.0"


def _changed(changes: Properties) -> list[Row]:
    names = [column["name"] for column in _PREDICTIONS]
    kept = [
        column | dict(changes.get(column["name"]) or {})
        for column in _PREDICTIONS
        if changes.get(column["name"], {}) is not None
    ]
    return kept + [
        _property(name, "string") | dict(changes[name] or {}) for name in changes if name not in names
    ]


def _document(dataset: str, table: str, columns: list[Row], form: str) -> Row:
    folder = "features/{table}" if dataset == "features" else dataset
    path = f"{{landing}}/{folder}/{{date}}*.{form}"
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": f"toy-{dataset}",
        "name": f"Toy {dataset}",
        "version": "1.0.0",
        "status": "active",
        "domain": "toys",
        "description": {"purpose": "Tests"},
        "team": {"name": "toys", "members": [{"username": "toys@example.org", "role": "owner"}]},
        "support": [{"channel": "toys", "tool": "email", "url": "mailto:toys@example.org"}],
        "servers": [{"server": "landing", "type": "local", "format": form, "path": path}],
        "slaProperties": [{"property": "latency", "value": 6, "unit": "h"}],
        "schema": [
            {
                "name": table,
                "logicalType": "object",
                "physicalType": "file",
                "description": f"Rows of {table}.",
                "properties": columns,
            }
        ],
    }


def _documents(predictions: Row) -> dict[str, Row]:
    return {
        "monitor.yaml": dict(_MONITOR),
        "predictions.odcs.yaml": predictions,
        "features.odcs.yaml": _document("features", "regions", _FEATURES, "jsonl"),
        "labels.odcs.yaml": _document("labels", "labels", _LABELS, "jsonl"),
    }


@lru_cache
def _spec(documents: str) -> ModelSpec:
    with TemporaryDirectory() as home:
        folder = Path(home) / "toy"
        for name, document in json.loads(documents).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        return load_model(folder, METRICS)


@lru_cache
def _contract(predictions: str) -> Contract:
    """Read one document alone, which is sooner done than its whole folder."""
    with TemporaryDirectory() as home:
        file = Path(home) / "predictions.odcs.yaml"
        file.write_text(predictions, encoding="utf-8")
        document, problems = read_document(file)
        assert document is not None, problems
        contract, problems = read_contract(document, "predictions")
        assert contract is not None, problems
        return contract


def rows(count: int = 4, day: date = DAY, start: int = 0, **columns: object) -> list[Row]:
    """Good predictions of a day, as plain values.

    Parameters
    ----------
    start
        Number of the first one, of which its id is made.
    **columns
        Values to put in their place: one for all rows, or a list of one for each.
    """
    midnight = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
    made = [
        _prediction(number, midnight + timedelta(minutes=number)) for number in range(start, start + count)
    ]
    for name, values in columns.items():
        for place, row in enumerate(made):
            row[name] = values[place] if isinstance(values, list) else values
    return made


def _prediction(number: int, at: datetime) -> Row:
    return {
        "prediction_id": f"{MARK}-p{number}",
        "correlation_id": f"{MARK}-c{number}",
        "predicted_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "model_version": "a",
        "role": "champion",
        "training_dataset_id": "set-1",
        "feature_set_version": "1",
        "score": 0.25,
        "status": "ok",
        "latency_ms": 12.5,
        "customer": f"{MARK}-customer",
        "amount": 730173.5,
        "region": f"{MARK}-region",
        "items": 3,
        "member": True,
        "since": "2020-02-29",
        "note": f"{MARK} note",
    }


def labels(count: int = 4, day: date = DAY, **columns: object) -> list[Row]:
    """Good labels of a day, as plain values; see `rows`."""
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    made = [
        {
            "prediction_id": f"{MARK}-p{number}",
            "label": number % 2,
            "outcome": "bad" if number % 2 else "good",
            "arrived_at": (at + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "revision": 1,
            "source": "live",
        }
        for number in range(count)
    ]
    for name, values in columns.items():
        for place, row in enumerate(made):
            row[name] = values[place] if isinstance(values, list) else values
    return made
