#!/bin/sh
# After the first `mlobs publish MODEL --migrate`: least-privilege roles on the mirror, and a log-in for Grafana.
set -eu
cd "$(dirname "$0")"
mirror() { docker compose exec -T postgres psql --username=mlobs --dbname=mirror --quiet --set=ON_ERROR_STOP=1 "$@"; }
mirror < ../postgres/roles.sql
mirror --set=password="$(cat secrets/dashboard_password)" <<'SQL'
SELECT 'CREATE ROLE grafana LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grafana') \gexec
ALTER ROLE grafana PASSWORD :'password';
GRANT mlobs_dashboard TO grafana;
SQL
