"""Layouts of the tables every model has: deliveries, rule results, metrics, SLOs, incidents, releases, audit.

Tables whose columns follow from a model's contracts are laid out by the step that writes them.
"""

from datetime import UTC, datetime

import pyarrow as pa

from mlobs_pipelines.store.layout import UTC_MICROSECONDS, TableLayout


def as_of_key(at: datetime) -> str:
    """An instant as the value of the partition column ``as_of_key``.

    Raises
    ------
    ValueError
        Without a time zone, or with a fraction of a second, which the key could not tell apart.

    Examples
    --------
    >>> as_of_key(datetime(2014, 2, 1, tzinfo=UTC))
    '20140201T000000Z'
    """
    if at.tzinfo is None or at.microsecond:
        raise ValueError("as_of must carry a time zone and be a whole second")
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def moment_of(key: str) -> datetime:
    """The instant of an `as_of_key`.

    Raises
    ------
    ValueError
        If it is no such key.

    Examples
    --------
    >>> moment_of("20140201T000000Z").isoformat()
    '2014-02-01T00:00:00+00:00'
    """
    return datetime.strptime(key, "%Y%m%dT%H%M%S%z")


def _columns(**kinds: pa.DataType) -> list[pa.Field]:
    return [pa.field(name, kind) for name, kind in kinds.items()]


def _required(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.string(), nullable=False) for name in names]


QUARANTINE = TableLayout(
    name="quarantine",
    schema=pa.schema(
        _required("dataset", "day")
        + _columns(
            table=pa.string(),
            delivery=pa.string(),
            sha256=pa.string(),
            row_number=pa.int64(),
            rules=pa.list_(pa.string()),
            columns=pa.list_(pa.string()),
            contract_version=pa.string(),
            key_id=pa.string(),
            row_json=pa.string(),
            row_types=pa.string(),
            released_at=UTC_MICROSECONDS,
        ),
    ),
    keys=("dataset", "day"),
    sort_by=("delivery", "row_number"),
)

DELIVERIES = TableLayout(
    name="deliveries",
    schema=pa.schema(
        _required("dataset", "day")
        + _columns(
            table=pa.string(),
            delivery=pa.string(),
            sha256=pa.string(),
            bytes=pa.int64(),
            state=pa.string(),
            rows_in=pa.int64(),
            accepted=pa.int64(),
            repeated=pa.int64(),
            quarantined=pa.int64(),
            refused=pa.int64(),
            sampled_out=pa.int64(),
            reason=pa.string(),
            contract_version=pa.string(),
            contract_hash=pa.string(),
            key_id=pa.string(),
            at_source=pa.bool_(),
            event_days=pa.list_(pa.string()),
            normalised=pa.string(),
            suspects=pa.string(),
            unknown_columns=pa.list_(pa.string()),
        ),
    ),
    keys=("dataset", "day"),
    sort_by=("delivery", "sha256"),
)

RULE_RESULTS = TableLayout(
    name="rule_results",
    schema=pa.schema(
        _required("dataset", "day")
        + _columns(
            table=pa.string(),
            rule=pa.string(),
            kind=pa.string(),
            columns=pa.list_(pa.string()),
            severity=pa.string(),
            outcome=pa.string(),
            count=pa.int64(),
            rows=pa.int64(),
            share=pa.float64(),
            reason=pa.string(),
            description=pa.string(),
            runbook=pa.string(),
        ),
    ),
    keys=("dataset", "day"),
    sort_by=("table", "rule"),
)

SAMPLED_OUT = TableLayout(
    name="sampled_out",
    schema=pa.schema(_required("day") + _columns(delivery=pa.string(), prediction_id=pa.string())),
    keys=("day",),
    sort_by=("prediction_id",),
)

HASH_ALIASES = TableLayout(
    name="hash_aliases",
    schema=pa.schema(
        _required("dataset", "day") + _columns(column=pa.string(), old=pa.string(), new=pa.string())
    ),
    keys=("dataset", "day"),
    sort_by=("column", "old"),
)

METRIC_COLUMNS = pa.schema(
    _required("model", "model_version")
    + _columns(role=pa.string())
    + _required("segment", "segment_value", "feature", "metric", "window")
    + [
        pa.field("window_start", pa.date32(), nullable=False),
        pa.field("window_end", pa.date32(), nullable=False),
        pa.field("as_of", UTC_MICROSECONDS, nullable=False),
    ]
    + _columns(
        value=pa.float64(),
        lower=pa.float64(),
        upper=pa.float64(),
        n=pa.int64(),
        unit=pa.string(),
        verdict=pa.string(),
        threshold=pa.float64(),
        reason=pa.string(),
        maturity=pa.string(),
        label_coverage=pa.float64(),
        baseline_id=pa.string(),
        bound=pa.float64(),
        noise=pa.float64(),
        inputs=pa.string(),
        run_id=pa.string(),
        severity=pa.string(),
    )
    + _required("day"),
)

METRICS = TableLayout(
    name="metrics",
    schema=pa.schema([*METRIC_COLUMNS, *_required("as_of_key")]),
    keys=("day", "as_of_key"),
    sort_by=(
        "model_version",
        "metric",
        "window",
        "window_start",
        "segment",
        "segment_value",
        "feature",
        "maturity",
    ),
    volatile=("run_id",),
)

SLO_STATUS = TableLayout(
    name="slo_status",
    schema=pa.schema(
        [
            *_required("model", "slo", "model_version", "segment", "segment_value"),
            *_required("feature", "metric", "window"),
            pa.field("period_start", pa.date32(), nullable=False),
            pa.field("period_end", pa.date32(), nullable=False),
            pa.field("as_of", UTC_MICROSECONDS, nullable=False),
            *_columns(
                target=pa.float64(),
                events=pa.float64(),
                bad=pa.float64(),
                budget=pa.float64(),
                budget_left=pa.float64(),
                burn_1d=pa.float64(),
                burn_7d=pa.float64(),
                page_limit=pa.float64(),
                ticket_limit=pa.float64(),
                alert=pa.string(),
                verdict=pa.string(),
                reason=pa.string(),
                owners=pa.list_(pa.string()),
                runbook=pa.string(),
                inputs=pa.string(),
                run_id=pa.string(),
            ),
            *_required("day", "as_of_key"),
        ]
    ),
    keys=("day", "as_of_key"),
    sort_by=("slo", "model_version", "segment", "segment_value"),
    volatile=("run_id",),
)

INCIDENTS = TableLayout(
    name="incidents",
    schema=pa.schema(
        [
            *_required("model", "incident", "cause", "title", "severity", "state"),
            pa.field("opened_on", pa.date32(), nullable=False),
            *_columns(
                resolved_on=pa.date32(),
                failing=pa.int64(),
                reopened=pa.int64(),
                acknowledged=pa.bool_(),
                muted_until=pa.date32(),
                acted_by=pa.string(),
                note=pa.string(),
                versions=pa.list_(pa.string()),
                segments=pa.list_(pa.string()),
                checks=pa.list_(pa.string()),
                owners=pa.list_(pa.string()),
                runbook=pa.string(),
                signals=pa.string(),
                suspects=pa.string(),
                as_of=UTC_MICROSECONDS,
                run_id=pa.string(),
            ),
            *_required("day"),
        ]
    ),
    keys=("day",),
    sort_by=("opened_on", "incident"),
    volatile=("run_id", "as_of"),
)

INCIDENT_DAYS = TableLayout(
    name="incident_days",
    schema=pa.schema(
        [
            *_required("day"),
            pa.field("as_of", UTC_MICROSECONDS, nullable=False),
            *_columns(
                unresolved=pa.int64(),
                critical=pa.int64(),
                muted=pa.int64(),
                opened=pa.int64(),
                resolved=pa.int64(),
            ),
        ]
    ),
    keys=("day",),
    volatile=("as_of",),
)

INCIDENT_ACTIONS = TableLayout(
    name="incident_actions",
    schema=pa.schema(
        [
            *_required("day", "incident", "cause", "kind", "who"),
            *_columns(at=UTC_MICROSECONDS, reason=pa.string(), until=pa.date32()),
        ]
    ),
    keys=("day",),
    sort_by=("at", "who", "incident", "kind"),
)

NOTIFICATIONS = TableLayout(
    name="notifications",
    schema=pa.schema(
        [
            *_required("day", "channel", "incident", "cause", "event", "state"),
            *_columns(
                at=UTC_MICROSECONDS,
                attempt=pa.int64(),
                reopened=pa.int64(),
                severity=pa.string(),
                title=pa.string(),
                body=pa.string(),
                error=pa.string(),
            ),
        ]
    ),
    keys=("day",),
    sort_by=("at", "channel", "incident", "event"),
)

RELEASES = TableLayout(
    name="releases",
    schema=pa.schema(
        [
            *_required("day", "candidate", "champion", "verdict", "signed_by", "who", "reason"),
            *_columns(
                at=UTC_MICROSECONDS,
                digest=pa.string(),
                signature=pa.string(),
                key_id=pa.string(),
                record=pa.string(),
                file=pa.string(),
            ),
        ]
    ),
    keys=("day",),
    sort_by=("at", "candidate", "digest"),
)

AUDIT = TableLayout(
    name="audit",
    schema=pa.schema(
        _required("day")
        + _columns(
            at=UTC_MICROSECONDS,
            who=pa.string(),
            action=pa.string(),
            object=pa.string(),
            details=pa.string(),
        ),
    ),
    keys=("day",),
    sort_by=("at", "who", "action", "object"),
)

EXPIRED = TableLayout(
    name="expired",
    schema=pa.schema(
        _required("table") + _columns(before=pa.date32(), kept_days=pa.int64(), at=UTC_MICROSECONDS)
    ),
    keys=("table",),
)
