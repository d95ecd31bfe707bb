"""What others do with the same two files: profile the baseline and the day, and compare each feature.

Runs in an environment that holds one of them, so it imports nothing else. Each uses its own defaults.
"""

import argparse
import json
import resource
import time
from pathlib import Path

NUMBERS = [f"x{i:02d}" for i in range(40)]
NAMES = [f"c{i}" for i in range(10)]
FEATURES = [*NUMBERS, *NAMES]


def _frames(day: Path, baseline: Path, more: list[str]) -> list[object]:
    import pandas as pd

    return [pd.read_parquet(path, columns=[*FEATURES, *more]) for path in (baseline, day)]


def evidently(day: Path, baseline: Path) -> None:
    """Drift and summary presets."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    definition = DataDefinition(numerical_columns=NUMBERS, categorical_columns=NAMES)
    before, after = (
        Dataset.from_pandas(frame, data_definition=definition) for frame in _frames(day, baseline, [])
    )
    found = Report([DataDriftPreset(), DataSummaryPreset()]).run(after, before)
    assert found.dict()


def whylogs(day: Path, baseline: Path) -> None:
    """Profiles of both and drift scores between them."""
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    before, after = (why.log(frame).view() for frame in _frames(day, baseline, []))
    assert calculate_drift_scores(after, before)


def nannyml(day: Path, baseline: Path) -> None:
    """Univariate drift in ten chunks."""
    import nannyml as nml

    before, after = _frames(day, baseline, [])
    calculator = nml.UnivariateDriftCalculator(column_names=FEATURES, chunk_number=10)
    calculator.fit(before)
    assert len(calculator.calculate(after).to_df())


def tfdv(day: Path, baseline: Path) -> None:
    """Statistics of both, a schema with a drift limit per feature, and validation."""
    import tensorflow_data_validation as tf

    before, after = (tf.generate_statistics_from_dataframe(frame) for frame in _frames(day, baseline, []))
    schema = tf.infer_schema(before)
    for name in FEATURES:
        limits = tf.get_feature(schema, name).drift_comparator
        if name in NAMES:
            limits.infinity_norm.threshold = 0.1
        else:
            limits.jensen_shannon_divergence.threshold = 0.1
    assert tf.validate_statistics(after, schema, previous_statistics=before) is not None


WORK = {"evidently": evidently, "whylogs": whylogs, "nannyml": nannyml, "tfdv": tfdv}


def main() -> None:
    """Do one peer's work and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", choices=list(WORK), required=True)
    parser.add_argument("--files", nargs=2, type=Path, required=True)
    given = parser.parse_args()
    started, cpu = time.perf_counter(), time.process_time()
    WORK[given.work](*given.files)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak}))


if __name__ == "__main__":
    main()
