-- The published mirror of the metric store: the same columns, one row for each value of a series as of a moment.
CREATE TABLE mlobs.metrics (
  model text NOT NULL,
  model_version text NOT NULL,
  role text,
  segment text NOT NULL,
  segment_value text NOT NULL,
  feature text NOT NULL,
  metric text NOT NULL,
  "window" text NOT NULL,
  window_start date NOT NULL,
  window_end date NOT NULL,
  as_of timestamptz NOT NULL,
  value double precision,
  lower double precision,
  upper double precision,
  n bigint,
  unit text,
  verdict text,
  threshold double precision,
  reason text,
  maturity text NOT NULL DEFAULT '',
  label_coverage double precision,
  baseline_id text,
  bound double precision,
  noise double precision,
  inputs text,
  run_id text,
  severity text,
  day text NOT NULL,
  PRIMARY KEY (
    model, day, as_of, model_version, metric, "window", window_start, segment, segment_value, feature, maturity
  )
);

-- What is shown by default: of each window what was known last, as `mlobs metrics` reads it.
CREATE VIEW mlobs.latest_metrics AS
SELECT * FROM mlobs.metrics AS m
WHERE m.as_of = (
  SELECT max(o.as_of) FROM mlobs.metrics AS o
  WHERE o.model = m.model AND o."window" = m."window" AND o.window_start = m.window_start AND o.day = m.day
);
