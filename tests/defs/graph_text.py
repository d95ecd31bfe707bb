"""Writes the asset graph as text that a person can review."""

from pathlib import Path

GOLDEN = Path(__file__).parent / "graph.txt"


def graph_text(defs):
    """Describe assets, checks, jobs and schedules, one thing a line, in a fixed order."""
    repository = defs.get_repository_def()
    lines = [line for spec in _sorted(defs.resolve_all_asset_specs()) for line in _asset(spec, repository)]
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    lines += [line for job in sorted(jobs, key=lambda job: job.name) for line in _job(job)]
    for schedule in sorted(repository.schedule_defs, key=lambda schedule: schedule.name):
        when = f"{schedule.cron_schedule} {schedule.execution_timezone}"
        lines += ["", f"schedule {schedule.name}: {schedule.job_name} at {when}", f"  {schedule.description}"]
    return "\n".join(lines).lstrip() + "\n"


def _sorted(specs):
    return sorted(specs, key=lambda spec: spec.key.to_user_string())


def _asset(spec, repository):
    yield from ("", f"asset {spec.key.to_user_string()}", f"  {spec.description}")
    yield f"  group {spec.group_name}; kinds {', '.join(sorted(spec.kinds))}; owners {', '.join(spec.owners)}"
    yield f"  partitions {_partitions(spec.partitions_def)}"
    yield from (f"  reads {_dependency(dep)}" for dep in sorted(spec.deps, key=lambda dep: dep.asset_key))
    keys = repository.asset_graph.get_check_keys_for_assets({spec.key})
    for key in sorted(keys, key=lambda key: key.name):
        yield f"  check {key.name}: {repository.asset_graph.get_check_spec(key).description}"


def _partitions(found):
    if found is None:
        return "none"
    last = found.get_last_partition_key()
    return f"{type(found).__name__} {found.start.date()} to {last}"


def _dependency(dep):
    mapping = dep.partition_mapping
    name = dep.asset_key.to_user_string()
    if mapping is None:
        return name
    if hasattr(mapping, "start_offset"):
        return f"{name}, days {mapping.start_offset:+d} to {mapping.end_offset:+d}"
    return f"{name}, {type(mapping).__name__}"


def _job(job):
    keys = ", ".join(sorted(key.path[-1] for key in job.asset_layer.executable_asset_keys))
    made = keys or "no asset as a whole"
    yield from ("", f"job {job.name}", f"  {job.description}", f"  materializes {made}")


def _write():
    from mlobs_pipelines.definitions import build_defs  # noqa: PLC0415 - Dagster takes seconds
    from tests.defs.conftest import site_at  # noqa: PLC0415 - as above

    GOLDEN.write_text(graph_text(build_defs(site_at(Path("nowhere"), Path("nowhere")))))


if __name__ == "__main__":
    _write()
