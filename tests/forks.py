"""Processes that tests start and end, forked from one that has imported all and done nothing yet."""

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.steps.kill", "tests.store.test_lake_writers"])
