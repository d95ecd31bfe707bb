"""Judge in Dagster: the status of every SLO as an asset, with checks on its burn rate and its budget."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import dagster as dg
import polars as pl

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.assets import Part, Upstream, table_asset
from mlobs_pipelines.defs.checks import Finding, Look, Looks, partitioned_check
from mlobs_pipelines.defs.pictures import of_budgets, with_picture
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.steps.judge import judge_slos
from mlobs_pipelines.steps.walk import Walk
from mlobs_pipelines.store.latest import latest
from mlobs_pipelines.store.tables import SLO_STATUS

SHOWN = 50


def judge_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """Asset and checks of the SLOs; nothing for a model that declares none."""
    if not spec.monitor.slos:
        return
    reach = max(slo.objective.period_days for slo in spec.monitor.slos) - 1
    yield table_asset(
        site,
        spec,
        judge_slos,
        SLO_STATUS,
        "Error budgets per SLO, version and segment: what is left, and how fast it goes.",
        upstream=[Upstream("metrics", before=reach)],
        kinds={"numpy"},
    )
    for named, (says, look) in slo_looks().items():
        yield partitioned_check(site, spec, "slo_status", named, says, look)


def slo_looks() -> Looks:
    """The checks of the SLOs."""
    burns = "No error budget burns so fast that somebody must be told: at once (page) or in time (ticket)."
    spends = "Every SLO keeps its target over its period: some error budget is left."
    return {"burn_rate": (burns, _look(_burning)), "error_budget": (spends, _drawn(_look(_spent)))}


def _drawn(look: Look) -> Look:
    def drawn(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
        last = max(days)
        return with_picture(look(walk, days), last, of_budgets(walk, last), "error budgets")

    return drawn


def _look(judge: Callable[[pl.DataFrame], Finding]) -> Look:
    def look(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
        rows = pl.DataFrame(
            latest(walk.lake, walk.model, SLO_STATUS, min(days), max(days), walk.as_of).drop(["owners"])
        )
        return {day: judge(rows.filter(pl.col("day") == day.isoformat())) for day in days}

    return look


def _burning(rows: pl.DataFrame) -> Finding:
    told = rows.filter(pl.col("alert").is_in(["page", "ticket"]))
    if told.height:
        severe = "page" in told.get_column("alert")
        text = f"{told.height} of {rows.height} budgets burn too fast: {_list(told, 'alert')}"
        return Finding(passed=False, severe=severe, description=text, metadata=_metadata(rows))
    return _quiet(rows, rows.filter(pl.col("alert") == "undecided").height, "No budget burns too fast.")


def _spent(rows: pl.DataFrame) -> Finding:
    failed = rows.filter(pl.col("verdict") == "fail")
    if failed.height:
        text = f"{failed.height} of {rows.height} SLOs have missed their target: {_list(failed, 'verdict')}"
        return Finding(passed=False, severe=False, description=text, metadata=_metadata(rows))
    undecided = rows.filter(pl.col("verdict") == "undecided").height
    return _quiet(rows, undecided, "Every SLO keeps its target.")


def _quiet(rows: pl.DataFrame, undecided: int, text: str) -> Finding:
    if not rows.height:
        said = "Nothing was counted lately, so there is no budget to look at."
        return Finding(passed=True, undecided=True, description=said)
    if undecided:
        text = f"{undecided} of {rows.height} are undecided: too few events. {text}"
    return Finding(passed=True, undecided=bool(undecided), description=text, metadata=_metadata(rows))


def _list(rows: pl.DataFrame, word: str, most: int = 3) -> str:
    said = [f"{row[word]}: {name(row)}: {row['reason']}" for row in rows.head(most).to_dicts()]
    more = f"; and {rows.height - most} more" if rows.height > most else ""
    return "; ".join(said) + more


def name(row: Mapping[str, object]) -> str:
    """What a status is about, for a person."""
    where = f", {row['segment']} {row['segment_value']}" if row["segment"] else ""
    return f"{row['slo']} ({row['model_version']} {row['metric']} {row['window']}{where})"


def _metadata(rows: pl.DataFrame) -> dict[str, dg.MetadataValue]:
    shown = [dg.TableRecord(_record(row)) for row in rows.head(SHOWN).to_dicts()]
    left = rows.get_column("budget_left").min()
    least = {"least_budget_left": dg.MetadataValue.float(left)} if isinstance(left, float) else {}
    return {**least, "slos": dg.MetadataValue.table(shown)}


def _record(row: Mapping[str, object]) -> dict[str, str | int | float | bool | None]:
    numbers = ("target", "events", "bad", "budget_left", "burn_1d", "burn_7d")
    told = {key: "" if row[key] is None else f"{row[key]:.6g}" for key in numbers}
    return {"slo": name(row), "alert": str(row["alert"]), "verdict": str(row["verdict"]), **told}
