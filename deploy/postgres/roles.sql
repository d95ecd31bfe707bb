-- Least-privilege roles of the published metrics. Run once, by the owner of the database, after the first
-- `mlobs publish`; then grant a role to each login: GRANT mlobs_dashboard TO grafana;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mlobs_writer') THEN CREATE ROLE mlobs_writer NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mlobs_reader') THEN CREATE ROLE mlobs_reader NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mlobs_dashboard') THEN CREATE ROLE mlobs_dashboard NOLOGIN; END IF;
END $$;

REVOKE ALL ON SCHEMA mlobs FROM PUBLIC;
GRANT USAGE ON SCHEMA mlobs TO mlobs_writer, mlobs_reader, mlobs_dashboard;

-- Publishes: changes rows, may not change tables.
GRANT SELECT, INSERT, UPDATE, DELETE ON mlobs.metrics, mlobs.slo_status, mlobs.incidents TO mlobs_writer;
GRANT SELECT ON mlobs.migrations TO mlobs_writer;

-- Analysts: every value that was ever known.
GRANT SELECT ON mlobs.metrics, mlobs.slo_status, mlobs.incidents TO mlobs_reader;

-- Dashboards: what is known now, through views, and nothing else. Analysts too.
GRANT SELECT ON mlobs.latest_metrics, mlobs.current_metrics, mlobs.trends, mlobs.verdict_counts, mlobs.drift_top,
  mlobs.slo_history, mlobs.slo_current, mlobs.incident_history, mlobs.open_incidents
  TO mlobs_dashboard, mlobs_reader;
