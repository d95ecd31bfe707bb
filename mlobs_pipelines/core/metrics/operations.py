"""Operation metrics: how many requests a model answered, how often it failed, and how soon it did."""

from collections.abc import Callable

import numpy as np

from mlobs_pipelines.core.metrics.estimates import amount, proportion, ratio
from mlobs_pipelines.core.metrics.quantiles import quantile
from mlobs_pipelines.core.metrics.registry import metric
from mlobs_pipelines.core.summaries import OperationSummary, QueueSummary
from mlobs_pipelines.core.vocabulary import Estimate


@metric("request_count", OperationSummary, family="operations", unit="rows")
def request_count(summary: OperationSummary) -> Estimate:
    """Requests of the window; 0 where there are none, exact unless requests were sampled."""
    return amount(summary, lambda s: s.requests, lambda s: s.requests)


@metric("throughput", OperationSummary, family="operations", unit="1/h")
def throughput(summary: OperationSummary) -> Estimate:
    """Requests per hour of the window's days that had any; interval as for `request_count`."""
    counted = request_count(summary)
    ends = (counted.value, counted.lower, counted.upper)
    value, lower, upper = (ratio(end, summary.hours) for end in ends)
    return Estimate(np.where(counted.value > 0, value, np.nan), counted.n, lower, upper)


@metric("error_share", OperationSummary, family="operations", direction=-1)
def error_share(summary: OperationSummary) -> Estimate:
    """Requests that did not end in a declared good status ÷ requests."""
    return proportion(summary, lambda s: (s.errors, s.requests))


@metric("timeout_share", OperationSummary, family="operations", direction=-1)
def timeout_share(summary: OperationSummary) -> Estimate:
    """Requests given up for taking too long ÷ requests; they are errors too."""
    return proportion(summary, lambda s: (s.timeouts, s.requests))


@metric("availability", OperationSummary, family="operations", direction=1)
def availability(summary: OperationSummary) -> Estimate:
    """Requests that ended in a declared good status ÷ requests: what `error_share` leaves of 1."""
    return proportion(summary, lambda s: (s.requests - s.errors, s.requests))


def _latency(name: str, level: float) -> Callable[[OperationSummary], Estimate]:
    """Register one latency quantile; its interval takes the ranks that a binomial count may reach."""

    @metric(name, OperationSummary, family="operations", unit="ms", direction=-1)
    def latency(summary: OperationSummary) -> Estimate:
        """Latency that the share of requests in the name stays within; the interval is of binomial ranks."""
        return quantile(summary, lambda s: s.latency, (summary.low_ms, summary.high_ms), level)

    return latency


latency_p50 = _latency("latency_p50", 0.50)
latency_p95 = _latency("latency_p95", 0.95)
latency_p99 = _latency("latency_p99", 0.99)


def _queue_time(name: str, level: float) -> Callable[[QueueSummary], Estimate]:
    """Register one quantile of the time that requests waited; its interval is that of latencies."""

    @metric(name, QueueSummary, family="operations", unit="ms", direction=-1)
    def queue_time(summary: QueueSummary) -> Estimate:
        """Time in the queue that the share of requests in the name stays within; ranks as of latencies."""
        return quantile(summary, lambda s: s.waits, (summary.low_ms, summary.high_ms), level)

    return queue_time


queue_time_p50 = _queue_time("queue_time_p50", 0.50)
queue_time_p95 = _queue_time("queue_time_p95", 0.95)
queue_time_p99 = _queue_time("queue_time_p99", 0.99)
