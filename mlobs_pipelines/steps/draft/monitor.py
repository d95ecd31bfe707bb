"""A plan as `monitor.yaml`: features, segments, labels, versions, objectives and SLOs, each with its reason.

The contracts are `documents`.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from mlobs_pipelines.steps.draft.documents import day_count, quoted
from mlobs_pipelines.steps.draft.plan import HORIZONS, Plan

LONG_HISTORY = 56  # days from which 28 of them say more than 7
OLD = timedelta(days=30)
_QUALITY = {
    "binary": [
        ("auc", "fail_below_change: 0.05", "Ranking is worse than on the baseline by more than that."),
        ("ece", "fail_above_change: 0.05", "Scores mean less what they say than on the baseline."),
    ],
    "multiclass": [
        ("accuracy", "fail_below_change: 0.05", "Right less often than on the baseline."),
        ("ece", "fail_above_change: 0.05", "Top scores mean less what they say than on the baseline."),
    ],
    "regression": [
        ("mae", "fail_above_change_ratio: 0.2", "Errors are a fifth larger than on the baseline."),
    ],
}


def monitor(plan: Plan, statuses: list[str], now: datetime) -> str:
    """The monitor of a model.

    Parameters
    ----------
    now
        To tell whether the samples are of the past.
    """
    parts = [_head(plan, now), _served(plan, statuses), _features(plan), _labels(plan), _versions(plan)]
    parts += [_objectives(plan, statuses), _slos(plan), _schedule(plan)]
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(plan: Plan, now: datetime) -> Iterator[str]:
    model = plan.asked.model
    yield f"# Drafted by `mlobs init` from {plan.rows:,} predictions of {day_count(plan)} days. Every choice"
    yield f"# is a guess: read it, mend it, and `mlobs check {model}` until it is silent."
    yield f"model: {model}"
    yield f"description: {quoted(f'{model}, to be described.')}"
    yield f"task: {plan.task} # {plan.task_why}"
    if plan.classes:
        columns = ", ".join(f"{quoted(name)}: {column}" for name, column in plan.classes.items())
        yield f"classes: {{{columns}}}"
    yield f"owners: [{quoted(plan.asked.owner)}] # who is told"
    yield f"runbook: https://example.org/runbooks/{model.replace('_', '-')} # what to do when it fails; yours"
    yield ""
    yield f"start_date: {plan.days[0]} # day of the first prediction"
    if plan.known_until < now - OLD:
        moment = plan.known_until.strftime("%Y-%m-%dT%H:%M:%SZ")
        yield f"replay_as_of: {moment} # the samples are of the past: judged as of then; remove to go live"
    yield ""


def _served(plan: Plan, statuses: list[str]) -> Iterator[str]:
    source = plan.sources["status"]
    good = next(
        (word for word in statuses if word.lower() in ("ok", "success", "200")),
        statuses[0] if source.column else "ok",
    )
    yield f"good_status: [{quoted(good)}] # {'the others count as errors' if source.column else source.why}"
    entities = [one.column for one in plan.others if one.kind == "entity"]
    if entities:
        yield f"entities: [{', '.join(entities)}] # name things; kept in the log, hashed as the contract says"
    if plan.segments:
        yield f"segments: [{', '.join(plan.segments)}] # few values, each with at least 2 % of the rows"
    yield ""


def _features(plan: Plan) -> Iterator[str]:
    served = plan.view_of
    yield "features: # all columns that are none of those above; take out what the model does not read"
    for one in plan.features:
        whence = f", view: {served[one.column]}" if one.column in served else ""
        yield f"  - {{name: {one.column}, kind: {one.kind}{whence}}}"
    if plan.views:
        yield "feature_views:"
    for view in plan.views:
        times = f"event_time: {view.event_time}, created_at: {view.created_at}"
        yield f"  {view.name}: {{entity: {view.entity}, ttl: 7d, {times}}} # ttl: oldest value that is served"
    yield ""


def _labels(plan: Plan) -> Iterator[str]:
    days, why = 1, "no labels were given: a guess"
    coverage = 0.9
    if plan.labels:
        days, coverage = plan.labels.horizon, plan.labels.coverage
        why = f"98 % of the labels that came had come by then; {plan.labels.why}"
    horizons = [f"{one}d" for one in HORIZONS if one <= days][-3:]
    yield "labels:"
    yield f"  horizon: {days}d # {why}"
    yield f"  unit: {'1h' if days <= 30 else '1d'}"
    yield f"  horizons: [{', '.join(horizons)}] # ages at which quality is kept, to compare young with old"
    yield f"  coverage_target: {coverage:g} # a window counts as mature from here on"
    yield ""


def _versions(plan: Plan) -> Iterator[str]:
    threshold = ", threshold: 0.5" if plan.task == "binary" else ""
    yield "versions: # baseline: what drift is measured from; facts: what its training knew"
    for name in plan.versions:
        base = f"{{landing}}/training/{name}"
        yield f'  {quoted(name)}: {{baseline: "{base}.parquet", facts: "{base}.json"{threshold}}}'
    yield ""


def _window(plan: Plan) -> str:
    return "28d" if day_count(plan) >= LONG_HISTORY else "7d"


def _objectives(plan: Plan, statuses: list[str]) -> Iterator[str]:
    window = _window(plan)
    yield "windows: [1d, 7d, 28d, 1mo]"
    why = "enough days are there" if window == "28d" else "few days are there yet"
    yield f"objectives: # over {window}: {why}"
    for metric, rule, why in _QUALITY[plan.task] if plan.labels else ():
        yield f"  - {{metric: {metric}, window: {window}, relative_to: baseline, {rule}, why: {quoted(why)}}}"
    shift = quoted("The usual band of PSI; failing takes more than chance would show.")
    yield f"  - {{metric: psi, window: {window}, fail_above: 0.25, severity: warn, why: {shift}}}"
    if plan.labels:
        least = round(plan.labels.coverage - 0.05, 2)
        yield f"  - {{metric: label_coverage, window: 7d, fail_below: {least:g}, why: Labels stay away.}}"
    if plan.sources["status"].column or len(statuses) > 1:
        yield "  - {metric: error_share, window: 7d, fail_above: 0.02, why: Requests that got no score.}"
    if plan.sources["latency_ms"].column:
        yield "  - {metric: latency_p95, window: 7d, fail_above: 1000, why: Milliseconds; yours may differ.}"
    for view in plan.views[:1]:
        said = quoted(f"What was served differs from what {view.name} and others say it should have been.")
        yield f"  - {{metric: skew_mismatch_share, window: 7d, fail_above: 0.02, why: {said}}}"
    yield ""


def _slos(plan: Plan) -> Iterator[str]:
    yield "slos: # how often that may fail over 28 days"
    yield "  - {name: answered, sli: {metric: availability}, budgeting: occurrences, target: 0.99}"
    if plan.labels:
        target = plan.labels.coverage
        sli = "sli: {metric: label_coverage}"
        yield f"  - {{name: labelled, {sli}, budgeting: occurrences, target: {target:g}}}"
    yield ""


def _schedule(plan: Plan) -> Iterator[str]:
    days = max(plan.labels.horizon if plan.labels else 1, 7)
    told = f"daily; windows are scored again for {days} days"
    yield f'schedule: {{cron: "0 6 * * *", timezone: UTC, rescore: {days}d}} # {told}'


def next_days(plan: Plan) -> tuple[date, date]:
    """Days that a first backfill is of: to the last arrival of labels."""
    return plan.days[0], plan.known_until.date() - timedelta(days=1)
