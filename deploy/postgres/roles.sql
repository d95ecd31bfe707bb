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

-- Publishes: changes rows of metrics, may not change tables.
GRANT SELECT, INSERT, UPDATE, DELETE ON mlobs.metrics TO mlobs_writer;
GRANT SELECT ON mlobs.migrations TO mlobs_writer;

-- Analysts: every value that was ever known.
GRANT SELECT ON mlobs.metrics, mlobs.latest_metrics TO mlobs_reader;

-- Dashboards: what is known now, and nothing else.
GRANT SELECT ON mlobs.latest_metrics TO mlobs_dashboard;
