"""Assembly only: every folder under `data_contracts/` becomes part of one Dagster code location."""

import dagster as dg

from mlobs_pipelines.contracts.folder import load_models
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.defs.audit import audit_sensors
from mlobs_pipelines.defs.model import model_definitions
from mlobs_pipelines.defs.resources import Site
from mlobs_pipelines.settings import Settings
from mlobs_pipelines.telemetry.logs import tell
from mlobs_pipelines.telemetry.spans import send


def build_defs(site: Site | None = None) -> dg.Definitions:
    """Assemble the definitions of every declared model.

    Parameters
    ----------
    site
        Settings and clock to use instead of the environment's.

    Raises
    ------
    ContractError
        If a model's folder has problems; the message names every one by file and line.
    """
    place = site or Site(Settings())
    models = load_models(place.settings.contracts, METRICS)
    merged = dg.Definitions.merge(*(model_definitions(place, spec) for spec in models.values()))
    common = dg.Definitions(executor=dg.in_process_executor, sensors=list(audit_sensors(place, models)))
    return dg.Definitions.merge(merged, common)


@dg.definitions
def defs() -> dg.Definitions:
    """The code location that `workspace.yaml` names."""
    settings = Settings()
    tell(settings.log_format)
    send(settings.telemetry_endpoint)
    return build_defs(Site(settings))
