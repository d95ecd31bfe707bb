-- Beside Dagster's own database: the one that `mlobs publish` mirrors metrics to. Run once, on an empty volume.
CREATE DATABASE mirror;
