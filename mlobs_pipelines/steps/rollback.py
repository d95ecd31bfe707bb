"""Whether the champion breaches what is critical, and which earlier version to go back to.

Reads error budgets, incidents and stored metrics. Running the hook that goes back is `destinations.hooks`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlobs_pipelines.core.verdicts import in_digits
from mlobs_pipelines.core.vocabulary import Verdict, Window
from mlobs_pipelines.steps.findings import verdict_of
from mlobs_pipelines.steps.guard import Asked, judge_release
from mlobs_pipelines.steps.incidents import current
from mlobs_pipelines.steps.traffic import CHAMPION, TRIED, Roles, champion_now, roles_by_day
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.latest import latest
from mlobs_pipelines.store.metric_store import MetricStore
from mlobs_pipelines.store.tables import INCIDENT_DAYS, SLO_STATUS

SHOWN = {
    "binary": ("auc", "accuracy", "brier_score", "ece"),
    "multiclass": ("accuracy", "log_loss", "brier_score", "ece"),
    "regression": ("mae", "rmse", "bias"),
}
OPERATIONS = ("availability", "latency_p95")
_LONGEST = (Window.FOUR_WEEKS, Window.MONTH, Window.WEEK, Window.DAY)
_HOPE = (Verdict.PASS, Verdict.UNDECIDED)
MOST = 3  # versions that are looked at, the latest champions first
_OWN = ("quality", "calibration", "operations", "skew")
_LIVE = ("open", "acknowledged")


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of one version, as last known."""

    metric: str
    value: float
    window: str
    last_day: str
    maturity: str

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.metric} {in_digits(self.value, 4)} ({self.window} to {self.last_day}, {self.maturity})"


@dataclass(frozen=True, slots=True)
class Advice:
    """What is said of the champion.

    Attributes
    ----------
    verdict
        Fail where it breaches what is critical, undecided where nothing is known of it.
    breaches
        What it breaches, in sentences.
    back_to
        The version to go back to; "" where none is better, or none is there.
    why
        What speaks for that version, or against any.
    figures
        Last known figures of the champion and of the version that was looked at.
    """

    model: str
    champion: str
    verdict: Verdict
    breaches: tuple[str, ...]
    back_to: str
    why: str
    figures: dict[str, tuple[Figure, ...]]

    def row(self) -> dict[str, Any]:
        """Everything as a record."""
        return asdict(self) | {"verdict": str(self.verdict), "breaches": list(self.breaches)}


def champion_health(walk: Walk) -> Advice:
    """Look at the champion, and where it breaches what is critical, at the version before it."""
    roles = roles_by_day(walk)
    champion = champion_now(roles) or ""
    known = any(walk.lake.exists(walk.model, one.name) for one in (SLO_STATUS, INCIDENT_DAYS))
    breaches = tuple(_breaches(walk, champion)) if champion else ()
    if not champion or not (known or breaches):
        why = "nothing is known of a champion's SLOs or incidents: backfill first"
        return Advice(walk.model, champion, Verdict.UNDECIDED, (), "", why, {})
    if not breaches:
        own = {champion: figures(walk, champion)}
        return Advice(walk.model, champion, Verdict.PASS, (), "", "nothing critical is breached", own)
    return _advised(walk, roles, champion, breaches)


def _breaches(walk: Walk, champion: str) -> Iterator[str]:
    """Budgets that burn critically on the last day, and critical incidents that are open."""
    rows = latest(walk.lake, walk.model, SLO_STATUS, as_of=walk.as_of).to_pylist()
    last = max((row["day"] for row in rows), default="")
    for row in rows:
        burning = row["alert"] == "page" or (row["verdict"] == "fail" and row["alert"] == "ticket")
        mine = row["model_version"] == champion and _own(walk, row["metric"])
        if row["day"] == last and mine and burning:
            group = f" of {row['segment']}={row['segment_value']}" if row["segment"] else ""
            yield f"SLO {row['slo']}{group} on {last}: {row['alert']}; {row['reason']}"
    for row in current(walk.lake, walk.model):
        about = {one["signal"]["told"].get("metric", "") for one in json.loads(row["signals"])}
        mine = champion in row["versions"] and any(_own(walk, metric) for metric in about)
        if row["severity"] == "critical" and row["state"] in _LIVE and mine:
            yield f"incident {row['incident']} since {row['opened_on']}: {row['title']}"


def _own(walk: Walk, metric: str) -> bool:
    """Whether another version might do better: late labels are of no version's making."""
    return metric in walk.spec.metrics and walk.spec.metrics[metric].family in _OWN


def _advised(walk: Walk, roles: Roles, champion: str, breaches: tuple[str, ...]) -> Advice:
    known = {champion: figures(walk, champion)}
    earlier = _earlier(roles, champion, walk.spec.monitor.versions)[:MOST]
    if not earlier:
        why = "there is no version to go back to: none was champion before, or runs as its shadow"
        return Advice(walk.model, champion, Verdict.FAIL, breaches, "", why, known)
    known |= {name: figures(walk, name) for name in earlier}
    found = {name: _beside(walk, name, champion) for name in earlier}
    # What was shown to be as good comes before what is not known; what is worse is never advised.
    chosen = next((name for word in _HOPE for name in earlier if found[name][0] is word), "")
    if not chosen:
        why = "; ".join(f"going back to {name} is not advised: {said}" for name, (_, said) in found.items())
        return Advice(walk.model, champion, Verdict.FAIL, breaches, "", why, known)
    last = ", ".join(map(str, known[chosen])) or "none"
    why = f"roll back to {chosen}: {found[chosen][1]}; its last known figures are {last}"
    return Advice(walk.model, champion, Verdict.FAIL, breaches, chosen, why, known)


def _earlier(roles: Roles, champion: str, declared: Sequence[str] | Any) -> list[str]:  # noqa: ANN401 - a mapping
    """Declared versions that were champion before or run beside it, the latest champion first."""
    found: dict[str, tuple[int, int]] = {}
    for day, held in roles.items():
        for name, mine in held.items():
            led = day.toordinal() if CHAMPION in mine else 0
            tried = day.toordinal() if not mine.isdisjoint(TRIED) else 0
            before = found.get(name, (0, 0))
            found[name] = max(before[0], led), max(before[1], tried)
    names = [name for name in found if name != champion and name in declared]
    return sorted(names, key=lambda name: found[name], reverse=True)


def _beside(walk: Walk, other: str, champion: str) -> tuple[Verdict, str]:
    """What the latest days on which it ran in the champion's shadow say of its quality."""
    judgement = judge_release(walk, Asked(other, champion))
    quality = [one for one in judgement.findings if one.check == "quality" and not one.segment]
    if not judgement.days or not quality:
        return Verdict.UNDECIDED, f"it has not run beside {champion}, so nothing says how it would do today"
    verdict, days = (
        verdict_of(quality),
        f"beside {champion} on {len(judgement.days)} days to {judgement.days[-1]}",
    )
    bad = "; ".join(f"{one.what} {one.reason}" for one in quality if one.verdict is Verdict.FAIL)
    told = {
        Verdict.PASS: f"its quality was not worse {days}",
        Verdict.FAIL: f"{days}, {bad}",
        Verdict.UNDECIDED: f"{days} its quality was neither shown to be worse nor to be as good",
    }
    return verdict, told[verdict]


def figures(walk: Walk, version: str) -> tuple[Figure, ...]:
    """The latest value of what matters most of a version, over the longest window there is."""
    monitor = walk.spec.monitor
    names = (*SHOWN[monitor.task], *OPERATIONS)
    window = next((one for one in _LONGEST if one in monitor.windows), monitor.windows[0])
    rows = MetricStore(walk.lake).query(
        walk.model,
        metrics=names,
        versions=[version],
        windows=[str(window)],
        segments=[""],
        features=[""],
        as_of=walk.as_of,
    )
    newest: dict[str, Figure] = {}
    for row in sorted(rows.to_pylist(), key=lambda row: row["window_end"]):
        if row["value"] is not None:
            last = row["day"] if "day" in row else str(row["window_end"])
            newest[row["metric"]] = Figure(row["metric"], row["value"], row["window"], last, row["maturity"])
    return tuple(newest[name] for name in names if name in newest)
