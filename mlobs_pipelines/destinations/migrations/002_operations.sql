-- Error budgets and incidents beside the metrics, and the views that dashboards read.
CREATE TABLE mlobs.slo_status (
  model text NOT NULL,
  slo text NOT NULL,
  model_version text NOT NULL,
  segment text NOT NULL,
  segment_value text NOT NULL,
  feature text NOT NULL,
  metric text NOT NULL,
  "window" text NOT NULL,
  period_start date NOT NULL,
  period_end date NOT NULL,
  as_of timestamptz NOT NULL,
  target double precision,
  events double precision,
  bad double precision,
  budget double precision,
  budget_left double precision,
  burn_1d double precision,
  burn_7d double precision,
  page_limit double precision,
  ticket_limit double precision,
  alert text,
  verdict text,
  reason text,
  owners text,
  runbook text,
  inputs text,
  run_id text,
  day text NOT NULL,
  PRIMARY KEY (model, day, as_of, slo, model_version, segment, segment_value)
);

CREATE TABLE mlobs.incidents (
  model text NOT NULL,
  incident text NOT NULL,
  cause text NOT NULL,
  title text NOT NULL,
  severity text NOT NULL,
  state text NOT NULL,
  opened_on date NOT NULL,
  resolved_on date,
  failing bigint,
  reopened bigint,
  muted_until date,
  note text,
  versions text,
  segments text,
  checks text,
  owners text,
  runbook text,
  suspects text,
  as_of timestamptz,
  run_id text,
  day text NOT NULL,
  PRIMARY KEY (model, day, incident)
);

CREATE INDEX metrics_of_a_series ON mlobs.metrics (model, metric, "window", day);
CREATE INDEX metrics_of_a_window ON mlobs.metrics (model, "window", window_start, day, as_of);

-- Of every window length the newest day.
CREATE VIEW mlobs.current_metrics AS
SELECT m.* FROM (
  SELECT model, "window", max(day) AS day FROM mlobs.metrics WHERE "window" <> '1mo' GROUP BY model, "window"
) AS newest
JOIN mlobs.latest_metrics AS m USING (model, "window", day);

-- Values over all rows by the last day of their window, with the labels known now.
CREATE VIEW mlobs.trends AS
SELECT
  (window_end - 1)::timestamp AT TIME ZONE 'UTC' AS "time",
  model, model_version, role, metric, feature, "window", value, lower, upper, n, unit, threshold, verdict, maturity
FROM mlobs.latest_metrics
WHERE segment = '' AND "window" <> '1mo' AND maturity IN ('', 'mature', 'provisional');

-- How many objectives of a day passed, failed or stayed undecided.
CREATE VIEW mlobs.verdict_counts AS
SELECT (window_end - 1)::timestamp AT TIME ZONE 'UTC' AS "time", model, model_version, verdict, count(*) AS checks
FROM mlobs.latest_metrics
WHERE verdict <> 'none' AND "window" <> '1mo'
GROUP BY window_end, model, model_version, verdict;

-- Features by how far they are from the baseline on the newest day, the farthest first.
CREATE VIEW mlobs.drift_top AS
SELECT
  rank() OVER (PARTITION BY model, model_version, "window" ORDER BY value DESC) AS place,
  model, model_version, feature, "window", value, threshold, verdict, n
FROM mlobs.current_metrics
WHERE metric = 'psi' AND segment = '' AND feature <> 'score' AND value IS NOT NULL;

CREATE VIEW mlobs.slo_history AS
SELECT (s.period_end - 1)::timestamp AT TIME ZONE 'UTC' AS "time", s.* FROM mlobs.slo_status AS s
WHERE s.as_of = (SELECT max(o.as_of) FROM mlobs.slo_status AS o WHERE o.model = s.model AND o.day = s.day);

CREATE VIEW mlobs.slo_current AS
SELECT h.* FROM mlobs.slo_history AS h
WHERE h.day = (SELECT max(o.day) FROM mlobs.slo_status AS o WHERE o.model = h.model);

-- Every incident as it stood last.
CREATE VIEW mlobs.incident_history AS
SELECT DISTINCT ON (model, incident)
  model, incident, cause, title, severity, state, opened_on, resolved_on, failing, reopened, muted_until, note,
  versions, segments, checks, owners, runbook, suspects, day
FROM mlobs.incidents
ORDER BY model, incident, day DESC;

CREATE VIEW mlobs.open_incidents AS
SELECT * FROM mlobs.incident_history WHERE state <> 'resolved';
