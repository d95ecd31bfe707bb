"""FLOOR 0: arithmetic on numpy arrays of counts. No frames, no I/O, no clock, no Dagster."""
