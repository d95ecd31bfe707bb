"""Incidents in Dagster: one row per incident and day as an asset, and a check that none is open."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg
import polars as pl

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.contracts.odcs import DATASETS
from mlobs_pipelines.defs.assets import Part, Upstream, table_asset
from mlobs_pipelines.defs.checks import Finding, partitioned_check
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.steps.incidents import follow
from mlobs_pipelines.steps.walk import Walk, texts
from mlobs_pipelines.store.tables import INCIDENTS

SHOWN = 50
LIVE = ("open", "acknowledged")


def incident_parts(site: Site, spec: ModelSpec) -> Iterator[Part]:
    """Asset and check of the incidents."""
    judged = ["slo_status"] if spec.monitor.slos else []
    yield table_asset(
        site,
        spec,
        follow,
        INCIDENTS,
        "What failed and belongs together, from its first day until it has recovered, and where it stands.",
        upstream=[Upstream(name) for name in ("metrics", *judged, *DATASETS)],
        kinds={"polars"},
    )
    says = "No incident is open: none of error severity, and none that is slow; muted ones do not count."
    yield partitioned_check(site, spec, "incidents", "open_incidents", says, _open)


def _open(walk: Walk, days: Sequence[date]) -> Mapping[date, Finding]:
    rows = pl.DataFrame(walk.lake.read(walk.model, INCIDENTS, where={"day": texts(days)}))
    return {day: _judge(rows.filter(pl.col("day") == day.isoformat())) for day in days}


def _judge(rows: pl.DataFrame) -> Finding:
    live = rows.filter(pl.col("state").is_in(LIVE))
    muted = rows.filter(pl.col("state") == "muted").height
    ended = rows.filter(pl.col("resolved_on").cast(pl.String) == pl.col("day")).height
    counts = {"open": live.height, "muted": muted, "resolved_today": ended}
    metadata: dict[str, dg.MetadataValue] = {key: dg.MetadataValue.int(one) for key, one in counts.items()}
    if rows.height:
        shown = [dg.TableRecord(_record(row)) for row in rows.head(SHOWN).to_dicts()]
        metadata["incidents"] = dg.MetadataValue.table(shown)
    if not live.height:
        said = f" {muted} are muted." if muted else ""
        return Finding(passed=True, description=f"No incident is open.{said}", metadata=metadata)
    severe = "critical" in live.get_column("severity")
    told = "; ".join(map(_named, live.to_dicts()[:3]))
    more = f"; and {live.height - 3} more" if live.height > 3 else ""
    text = f"{live.height} open: {told}{more}. See mlobs explain, then ack, mute or resolve."
    return Finding(passed=False, severe=severe, description=text, metadata=metadata)


def _named(row: Mapping[str, object]) -> str:
    """An incident in a line: what it is, and its first suspect."""
    suspects = [one["text"] for one in json.loads(str(row["suspects"] or "[]"))]
    first = f", first suspect: {suspects[0]}" if suspects else ""
    return f"{row['incident']} ({row['severity']}): {row['title']}{first}"


def _record(row: Mapping[str, object]) -> dict[str, str | int | float | bool | None]:
    names = ("incident", "severity", "state", "title", "opened_on", "resolved_on", "failing")
    told = {name: "" if row[name] is None else str(row[name]) for name in names}
    first = {one["signal"]["check"]: one["first"] for one in reversed(json.loads(str(row["signals"])))}
    causes = "; ".join(one["text"] for one in json.loads(str(row["suspects"] or "[]")))
    return {
        **told,
        "suspects": causes,
        "checks": ", ".join(f"{check} since {day}" for check, day in sorted(first.items())),
    }
