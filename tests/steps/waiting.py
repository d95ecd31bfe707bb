"""A day of loan predictions of which six break a strict contract, and that contract; asserts nothing."""

import shutil
from datetime import UTC, datetime, timedelta

import polars as pl

from tests.steps import loans

DAY = loans.DAYS[2]
ALLOWED, RANGE = "allowed:grade", "range:amount"
GRADE = "name: grade, logicalType: string, classification: internal, "
AMOUNT = "The amount, required: true, logicalTypeOptions: {minimum: 0}"
STRICT = (
    (GRADE, GRADE + "enum: [{value: A}, {value: B}], "),
    (AMOUNT, AMOUNT[:-1] + ", maximum: 1000}"),
)


def rows(count=40):
    """Rows of one day, of which 5 have a grade of E and 2, one of these among them, an amount of 2000."""
    at = [
        datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC) + timedelta(minutes=20 * n) for n in range(count)
    ]
    return pl.DataFrame(
        {
            "prediction_id": [f"p-{n:03}" for n in range(count)],
            "correlation_id": [f"c-{n:03}" for n in range(count)],
            "predicted_at": at,
            "model_version": "a",
            "role": "champion",
            "training_dataset_id": "set-1",
            "feature_set_version": "1",
            "score": [n / count for n in range(count)],
            "status": "ok",
            "latency_ms": pl.Series([n / 10 for n in range(count)], dtype=pl.Float32),
            "customer": [f"customer-{n:03}" for n in range(count)],
            "amount": [2000.0 if 14 <= n < 16 else float(n) for n in range(count)],
            "employed": True,
            "region": "north",
            "balance": 1.0,
            "cards": 1,
            "grade": ["E" if 10 <= n < 15 else "A" for n in range(count)],
            "region_rate": 0.1,
        }
    )


def deliver(landing, frame, day=DAY):
    """Write the delivery of a day."""
    path = loans.day_file(landing, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)


def contracts(root, *edits):
    """Write the loan model's folder under `root` with texts of its predictions' contract replaced."""
    folder = root / "loan_risk"
    shutil.copytree(loans.CONTRACTS, folder)
    path = folder / "predictions.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")
    return folder
