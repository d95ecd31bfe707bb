"""FLOOR 3: Dagster and only Dagster. Assets are a few lines around a step; results become metadata here."""

import warnings

import dagster as dg

# Partitioned asset checks are a preview feature; this package pins the version that it was tried on.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)
