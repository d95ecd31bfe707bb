"""FLOOR 2: the demo's landing zone, made from the flights that left New York in 2013.

Writes the files a serving system, a feature platform and a label feed would deliver. Nothing here reads the
lake, and nothing in the product imports this package but the command line.
"""

from mlobs_pipelines.demo.incidents import INCIDENTS
from mlobs_pipelines.demo.landing import LandingSummary, build_landing
from mlobs_pipelines.demo.plan import DemoPlan

__all__ = ["INCIDENTS", "DemoPlan", "LandingSummary", "build_landing"]
