"""Whether the SLOs of a monitor name what it declares: windows, versions, segments, features.

Whether their metrics can be counted is `slos`.
"""

from collections.abc import Iterator

from mlobs_pipelines.contracts.documents import Document
from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.contracts.problems import Problem, listed, suggestion
from mlobs_pipelines.contracts.slos import Slo


def slo_references(monitor: Monitor, document: Document) -> Iterator[Problem]:
    """Return what the SLOs name that there is not, and names that are given twice."""
    names = [slo.name for slo in monitor.slos]
    for place, slo in enumerate(monitor.slos):
        if slo.name in names[:place]:
            yield document.problem(("slos", place, "name"), f"{slo.name} is declared twice", "keep one")
        for key, said, valid in _unknown(monitor, slo):
            yield document.problem(("slos", place, "sli", key), said, valid)


def _unknown(monitor: Monitor, slo: Slo) -> Iterator[tuple[str, str, str]]:
    sli = slo.sli
    if sli.window not in monitor.windows:
        said = f"the window {sli.window} is not computed"
        yield "window", said, f"add it to windows, or use {listed(monitor.windows)}"
    if sli.segment is not None and sli.segment not in monitor.segments:
        yield "segment", f"{sli.segment!r} is no segment", suggestion(sli.segment, monitor.segments)
    for version in sli.versions or ():
        if version not in monitor.versions:
            yield "versions", f"unknown version {version!r}", suggestion(version, monitor.versions)
    known = (*monitor.feature_names, "score")
    if sli.feature and sli.feature not in known:
        yield "feature", f"unknown feature {sli.feature!r}", suggestion(sli.feature, known)
