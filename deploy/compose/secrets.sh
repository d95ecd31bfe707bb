#!/bin/sh
# Make the secrets that this installation has not got yet, each in a file of its own; those that are there stay.
# Keep mlobs_hmac_key for ever: without it old and new identifiers no longer match.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
say() { [ -e "secrets/$1" ] || printf '%s' "$2" > "secrets/$1"; }
random() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }
say postgres_password "$(random 24)"
say dashboard_password "$(random 24)"
say grafana_password "$(random 12)"
say mlobs_hmac_key "$(random 32)"
say mlobs_release_key "$(random 32)"
password=$(cat secrets/postgres_password)
say mlobs_postgres_url "postgresql://mlobs:$password@postgres:5432/dagster"
say mlobs_mirror_url "postgresql://mlobs:$password@postgres:5432/mirror"
say mlobs_lake_options '{}'
say mlobs_sources '{}'
say mlobs_channels '{}'
# Containers read them as users of their own; the folder lets nobody else of this machine through.
chmod 700 secrets
chmod 644 secrets/*
