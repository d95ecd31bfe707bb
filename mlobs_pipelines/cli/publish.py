"""The command that publishes: `publish`, the mirror of metrics, error budgets and incidents in PostgreSQL.

How rows get there is `destinations.postgres`.
"""

from typing import Annotated

import typer

from mlobs_pipelines.cli.output import count
from mlobs_pipelines.cli.root import From, Model, To, acted, app, lake, out, spec_of, stop


@app.command()
def publish(
    model: Model,
    first: From = None,
    last: To = None,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Make or change the tables first; takes the right to do so.")
    ] = False,
) -> None:
    """Make the PostgreSQL of MLOBS_MIRROR_URL hold metrics, error budgets and incidents, history included.

    Values that it holds already are left alone: publishing again changes nothing.
    """
    from mlobs_pipelines.destinations import postgres
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.store.lake import Between
    from mlobs_pipelines.store.metric_store import MetricStore
    from mlobs_pipelines.store.tables import INCIDENTS, METRICS, SLO_STATUS

    spec_of(model)
    url = Settings().mirror_url
    if url is None:
        stop("MLOBS_MIRROR_URL is not set: set it to postgresql://user:password@host/database", 2)
    if migrate:
        postgres.migrate(url.get_secret_value())
    ends = [end.date() if end else None for end in (first, last)]
    rows = MetricStore(lake()).query(model, first=ends[0], last=ends[1], latest=False)
    scope = Between(*(end.isoformat() if end else None for end in ends))
    operations = {
        layout.name: lake().read(model, layout, where={"day": scope}) for layout in (SLO_STATUS, INCIDENTS)
    }
    told = postgres.publish(url.get_secret_value(), model, scope.first, scope.last, rows, operations)
    acted(model, "publish", METRICS.name, {"written": told.written, "removed": told.removed})
    rows_there = rows.num_rows + sum(one.num_rows for one in operations.values())
    out.print(
        f"{count(rows_there, 'row')} published: {told.written:,} new or changed, {told.removed:,} gone",
        highlight=False,
    )
