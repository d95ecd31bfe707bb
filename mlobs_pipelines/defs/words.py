"""What the catalogue says of columns that no contract describes: those that the steps add.

Columns of deliveries are described by their contracts.
"""

COLUMNS = {
    "day": "Partition: the UTC day.",
    "view": "Feature view the row belongs to.",
    "delivered_on": "Day of the delivery that brought the row, which need not be its own.",
    "delivery": "Name of that delivery: its table, and its file or window.",
    "delivery_row": "Number of the row in that delivery, from 0.",
    "sample_weight": "Rows that the row stands for, itself included, where predictions are sampled.",
    "decision": "Whether the score reached the version's threshold; for several classes, the likeliest.",
    "first_arrived_at": "When the first revision of the label arrived (UTC).",
    "revisions": "Revisions of the label known as of the run.",
    "conflict": "Whether two revisions name different outcomes.",
    "early": "Whether a label was known before the prediction was made.",
    "lag_s": "Seconds from prediction to label.",
    "age_s": "Seconds from prediction to the run's knowledge time.",
    "said_labels": "Every label that came, where they differ, in the order in which they counted.",
    "said_lags_s": "Seconds from prediction to each of them.",
    "as_of": "Knowledge time: nothing that became known later was used.",
    "as_of_key": "Partition: the knowledge time.",
    "model": "Name of the model.",
    "model_version": "Version of the model.",
    "role": "What the version's answers were used for: champion, shadow or canary.",
    "segment": "Column the rows are cut by; empty for all rows.",
    "segment_value": "Value of that column.",
    "feature": "Feature the row is about; empty where it is about none.",
    "subject": "Feature, score, label or latency that was counted.",
    "part": "What was counted of it.",
    "codes": "Cells that hold rows, ascending.",
    "names": "Categories that hold rows.",
    "counts": "Rows per cell or category.",
    "sums": "Sum of the values per cell.",
    "squares": "Sum of their squares per cell.",
    "metric": "Name of the metric.",
    "window": "1d, 7d, 28d, or 1mo for a calendar month.",
    "window_start": "First day of the window (UTC).",
    "window_end": "Day after the window's last (UTC).",
    "value": "The metric's value; null where it is not defined.",
    "lower": "Lower end of the 95 % interval.",
    "upper": "Upper end of the 95 % interval.",
    "n": "Rows the value is about.",
    "unit": "Unit of the value.",
    "verdict": "pass, fail, undecided, or none where no objective judges it.",
    "threshold": "Limit the value is judged against.",
    "severity": "error or warn: what a failure means; of an incident: critical or ticket.",
    "reason": "Why the verdict is what it is.",
    "maturity": "mature once enough labels are in at the label horizon, else provisional; or by which age.",
    "label_coverage": "Share of the window's predictions that are labelled within the horizon.",
    "baseline_id": "Baseline that the value was measured against.",
    "bound": "How far an approximated value may be off.",
    "noise": "Value that a stable window stays under with 99 % probability.",
    "inputs": "JSON: fingerprint of the statistics and, for a judged value, the rule and its references.",
    "run_id": "Run that computed it.",
    "slo": "Name of the service level objective.",
    "period_start": "First day of the period (UTC).",
    "period_end": "Day after the period's last (UTC).",
    "target": "Share of events, or of windows, that is to be good.",
    "events": "Events, or judged windows, of the period.",
    "bad": "Those that were bad.",
    "budget": "Bad ones that the target allows.",
    "budget_left": "Share of the budget that is not spent; negative once the target is missed.",
    "burn_1d": "How many times faster than allowed the budget went on the last day.",
    "burn_7d": "The same over the last seven days.",
    "page_limit": "Burn rate of a day beyond which somebody is told at once.",
    "ticket_limit": "Burn rate of seven days beyond which somebody is told in time.",
    "alert": "page, ticket, none or undecided.",
    "incident": "Id: model, first day, mark of the cause.",
    "cause": "What the failures have in common, as far upstream as it shows.",
    "title": "The cause, and what came with it.",
    "state": "Of a label: labelled, void (no outcome will come) or pending; of an incident: where it stands.",
    "opened_on": "Day of its first failure.",
    "resolved_on": "Day on which every signal had recovered, or a person resolved it.",
    "failing": "Signals that fail on the day.",
    "reopened": "How often it came back soon after it was resolved.",
    "acknowledged": "Whether somebody said to be on it.",
    "muted_until": "First day on which it is not muted any more.",
    "acted_by": "Who acknowledged, muted or resolved it last.",
    "note": "Why.",
    "versions": "Model versions it is about.",
    "segments": "Segment values it is about; empty where it is about all rows.",
    "checks": "Assets and checks that show it.",
    "signals": "JSON: every signal with its days and the numbers of its last failure.",
    "suspects": "JSON: what may have caused it, the likeliest first, with days and score.",
    "owners": "Who answers for it.",
    "runbook": "What to do.",
}
SUFFIXES = {
    "__age_s": "Seconds from when the view's value was observed to the prediction.",
    "__miss": "Why the view had no value: no_key, never, expired or not_yet_known; null where it had one.",
}


def column_words(name: str) -> str | None:
    """What a column that a step added means; None if that is not known.

    Examples
    --------
    >>> column_words("weather__age_s")
    "Seconds from when the view's value was observed to the prediction."
    """
    for suffix, words in SUFFIXES.items():
        if name.endswith(suffix):
            return words
    return COLUMNS.get(name)
