"""The command that publishes: `publish`, the mirror of the metric store in PostgreSQL.

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
    """Make the PostgreSQL of MLOBS_MIRROR_URL hold what the metric store holds, with all its history.

    Values that it holds already are left alone: publishing again changes nothing.
    """
    from mlobs_pipelines.destinations import postgres
    from mlobs_pipelines.settings import Settings
    from mlobs_pipelines.store.lake import Between
    from mlobs_pipelines.store.metric_store import MetricStore
    from mlobs_pipelines.store.tables import METRICS

    spec_of(model)
    url = Settings().mirror_url
    if url is None:
        stop("MLOBS_MIRROR_URL is not set: set it to postgresql://user:password@host/database", 2)
    if migrate:
        postgres.migrate(url.get_secret_value())
    ends = [end.date() if end else None for end in (first, last)]
    rows = MetricStore(lake()).query(model, first=ends[0], last=ends[1], latest=False)
    scope = Between(*(end.isoformat() if end else None for end in ends))
    told = postgres.publish(url.get_secret_value(), model, scope.first, scope.last, rows)
    acted(model, "publish", METRICS.name, {"written": told.written, "removed": told.removed})
    out.print(
        f"{count(rows.num_rows, 'value')} published: {told.written:,} new or changed, {told.removed:,} gone",
        highlight=False,
    )
