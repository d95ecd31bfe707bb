"""Alerts in Dagster: a sensor that sends what is due, so that people hear of incidents while the daemon runs.

It looks at tables, not at runs: quiet hours end and messages are tried again without any run.
"""

import dagster as dg

from mlobs_pipelines.contracts.folder import ModelSpec
from mlobs_pipelines.defs.jobs import job_name
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.destinations.channels import send
from mlobs_pipelines.steps.notify import Message, notify
from mlobs_pipelines.steps.walk import Walk


def told_of(site: Site, walk: Walk) -> list[tuple[Message, str]]:
    """Send what is due now."""
    settings = site.settings
    return notify(walk, settings.channel_addresses, site.clock(), send, settings.dagster_url or "")


def alert_sensors(site: Site, spec: ModelSpec) -> list[dg.SensorDefinition]:
    """The sensor of a model that has routes; off until it is switched on."""
    if not spec.monitor.incidents.routes:
        return []

    @dg.sensor(
        name=job_name(spec.monitor.model, "alerts"),
        minimum_interval_seconds=60,
        description=(
            "Tells channels of incidents that open, grow worse, come back and end; keeps quiet hours and "
            "rate limits, tries again, and gives up after five attempts."
        ),
    )
    def sensor(_: dg.SensorEvaluationContext) -> dg.SkipReason:
        walk = site.walk(spec, "alerts.sensor")
        found = [what for _, what in told_of(site, walk)]
        told = ", ".join(f"{found.count(what)} {what}" for what in sorted(set(found)))
        return dg.SkipReason(told or "nothing is due")

    return [sensor]
