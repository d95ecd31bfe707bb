"""A Spark session as this installation's settings want it: in this process's machine or on a cluster.

What a session is used for is `engine`'s business.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from mlobs_pipelines.engine.engines import Cluster, EngineError
from mlobs_pipelines.engine.reading import BATCH_ROWS

# What results depend on; a conf file cannot change it.
_FIXED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(BATCH_ROWS),
}
_USUAL = {
    "spark.app.name": "mlobs",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.io.encryption.enabled": "true",  # rows are checked before their identifiers are hashed
}
# One machine: as many tasks after a shuffle as a small day can use, nothing listens to others.
_LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "8",
}
_PROPERTY = re.compile(r"(spark\.[^\s=]+)\s*=?\s*(\S.*)")
_SYSTEM_PYTHON = "python3"  # what Spark takes for its workers unless told otherwise


def session_of(cluster: Cluster) -> SparkSession:
    """The process's session; started where there is none.

    Raises
    ------
    EngineError
        If the conf file or the master cannot be used, or Java is missing.
    """
    local = cluster.master.startswith("local")
    options = {**_USUAL, **(_LOCAL if local else {}), **_properties(cluster.conf), **_FIXED}
    builder = SparkSession.builder.master(cluster.master)
    for name, value in options.items():
        builder = builder.config(name, value)
    try:
        session = builder.getOrCreate()
    except (PySparkException, Py4JJavaError) as error:
        raise EngineError(_why(cluster, error)) from None
    if local and session.sparkContext.pythonExec == _SYSTEM_PYTHON:
        session.sparkContext.pythonExec = sys.executable
    return session


def _why(cluster: Cluster, error: PySparkException | Py4JJavaError) -> str:
    condition = (error.getCondition() if isinstance(error, PySparkException) else None) or "SparkException"
    if "JAVA" in condition:
        return (
            "engine: spark needs Java 17 or later, which did not start: install openjdk-17-jre-headless, "
            "set JAVA_HOME, mend Java's options in MLOBS_SPARK_CONF, or write engine: embedded"
        )
    kind = cluster.master.partition("://")[0]  # what follows may hold a token
    return (
        f"engine: spark could not use its master, {kind} as MLOBS_SPARK_MASTER says ({condition}): see that "
        "it runs and can be reached, and MLOBS_SPARK_CONF"
    )


def _properties(path: Path | None) -> Mapping[str, str]:
    """Properties of a file, one a line: a name, then white space or an equals sign, then the value."""
    if path is None:
        return {}
    if not path.is_file():
        raise EngineError(f"MLOBS_SPARK_CONF names {path}, which is no file: write the properties there")
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            known = _PROPERTY.fullmatch(text)
            if known is None:
                raise EngineError(
                    f"{path}:{number}: no property of Spark; write spark.name and its value, as in "
                    "spark.driver.memory 4g"
                )
            found[known[1]] = known[2]
    return found
