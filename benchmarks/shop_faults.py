"""Thirty-three things that go wrong in the simulated shop, each with what may be named as its cause.

What a fault can change is said by `shop.py`; running them is `faults.py`.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
from shop import START, Change, Fault, logit, moment, sigmoid


def at_once(**expressions: pl.Expr) -> Change:
    """A change of every row of a day."""
    return lambda rows, _: rows.with_columns(**expressions)


def some(share: float, **expressions: pl.Expr | None) -> Change:
    """A change of some rows of a day."""

    def change(rows: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        lot = pl.Series("lot", rng.random(rows.height) < share)
        return (
            rows.with_columns(lot)
            .with_columns(
                **{name: pl.when("lot").then(one).otherwise(name) for name, one in expressions.items()}
            )
            .drop("lot")
        )

    return change


def where(condition: pl.Expr, **expressions: pl.Expr) -> Change:
    """A change of the rows of a day that a condition holds for."""
    return lambda rows, _: rows.with_columns(
        **{name: pl.when(condition).then(one).otherwise(name) for name, one in expressions.items()}
    )


def on(dataset: str, *numbers: int) -> Callable[..., bool]:
    """Whether a file is that of a dataset and one of some days."""
    return lambda named, number: named == dataset and number in numbers


def without(dataset: str, *numbers: int) -> Callable[..., pl.DataFrame | None]:
    """No file of a dataset on some days."""
    mine = on(dataset, *numbers)
    return lambda named, number, frames: None if mine(named, number) else frames.get(number)


def late(dataset: str, number: int, by: int) -> Callable[..., pl.DataFrame | None]:
    """The file of a day comes inside that of a later one."""

    def files(named: str, at: int, frames: dict[int, pl.DataFrame]) -> pl.DataFrame | None:
        if named == dataset and at == number:
            return None
        if named == dataset and at == number + by:
            return pl.concat([frames[number], frames[at]])
        return frames.get(at)

    return files


def again(dataset: str, number: int) -> Callable[..., pl.DataFrame | None]:
    """The rows of a day come a second time inside the next file."""

    def files(named: str, at: int, frames: dict[int, pl.DataFrame]) -> pl.DataFrame | None:
        twice = named == dataset and at == number + 1
        return pl.concat([frames[number], frames[at]]) if twice else frames.get(at)

    return files


def renamed(dataset: str, number: int, old: str, new: str) -> Callable[..., pl.DataFrame | None]:
    """A column has another name in the file of a day."""
    mine = on(dataset, number)
    return lambda named, at, frames: frames[at].rename({old: new}) if mine(named, at) else frames.get(at)


def stalled(first: int, end: int) -> Change:
    """Labels that would arrive on some days all arrive in the first hour after them."""

    def change(rows: pl.DataFrame, _: np.random.Generator) -> pl.DataFrame:
        start = (pl.col("predicted_at") - moment(0)).dt.total_seconds() / 3600
        arrives = start + pl.col("wait_h")
        held = arrives.is_between(24 * first, 24 * end, closed="left")
        return rows.with_columns(
            wait_h=pl.when(held).then(24 * end - start + arrives % 1).otherwise("wait_h")
        )

    return change


def as_v2(rows: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Another version answers, which learned little."""
    poor = sigmoid(0.25 * logit(rows) + rng.normal(0, 1.2, rows.height))
    return rows.with_columns(model_version=pl.lit("v2"), score=pl.Series(poor.round(6)))


def worse(rows: pl.DataFrame, _: np.random.Generator) -> pl.DataFrame:
    """The artifact of the version was replaced: its scores mean something else."""
    return rows.with_columns(score=pl.Series((sigmoid(logit(rows)) ** 3).round(6)))


def half(rows: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Every other order is lost on its way."""
    return rows.filter(pl.Series(rng.random(rows.height) < 0.5))


def turned(rows: pl.DataFrame, _: np.random.Generator) -> pl.DataFrame:
    """Cheap orders are sent back now, and expensive ones kept."""
    return rows.with_columns(eta=pl.Series(-logit(rows)))


PRICE, NORTH = pl.col("price"), pl.col("region") == "north"
FLIP = 1 - pl.col("label")
FAULTS: dict[str, Fault] = {
    "late file": Fault(
        "upstream",
        "predictions of a day come two days later",
        ("predictions:",),
        1,
        files=late("predictions", START, 2),
    ),
    "missing file": Fault(
        "upstream",
        "no predictions are delivered on a day",
        ("predictions:",),
        1,
        files=without("predictions", START),
    ),
    "half volume": Fault(
        "upstream", "half of the orders are lost", ("predictions: accepted", "requests"), 5, served=half
    ),
    "replayed file": Fault(
        "upstream",
        "a day is delivered twice",
        ("predictions: share of rows delivered",),
        2,
        files=again("predictions", START),
    ),
    "renamed column": Fault(
        "upstream",
        "score is called probability",
        ("predictions:",),
        1,
        files=renamed("predictions", START, "score", "probability"),
    ),
    "renamed feature": Fault(
        "upstream",
        "a view's rating is called stars",
        ("features catalogue",),
        3,
        files=lambda d, n, f: (
            f[n].rename({"rating": "stars"}) if d == "catalogue" and START <= n < START + 3 else f.get(n)
        ),
    ),
    "nulls": Fault(
        "upstream", "four of ten prices are empty", ("drift of price",), served=some(0.4, price=pl.lit(None))
    ),
    "unit change": Fault(
        "upstream", "prices are in cents", ("drift of price",), served=at_once(price=PRICE * 100), told=None
    ),
    "stale view": Fault(
        "upstream",
        "the catalogue is not delivered for four days",
        ("features catalogue",),
        4,
        files=without("catalogue", *range(START, START + 4)),
    ),
    "constant feature": Fault(
        "upstream", "discount is 0", ("drift of discount",), served=at_once(discount=pl.lit(0.0))
    ),
    "new category": Fault(
        "upstream",
        "three of ten orders come by app",
        ("drift of channel",),
        served=some(0.3, channel=pl.lit("app")),
    ),
    "out of range": Fault(
        "upstream",
        "the warehouse tells impossible days",
        ("features stock",),
        3,
        known={"stock": some(0.3, stock_days=pl.lit(999.0))},
    ),
    "sensor offset": Fault(
        "upstream",
        "couriers' hours are 30 too high, in the view too",
        ("drift of courier_hours",),
        known={"stock": at_once(courier_hours=pl.col("courier_hours") + 30)},
    ),
    "served zero": Fault(
        "skew",
        "return_rate is served as 0",
        ("skew of return_rate",),
        served=at_once(return_rate=pl.lit(0.0)),
    ),
    "served stale": Fault(
        "skew",
        "stock_days of hours ago are served",
        ("skew of stock_days",),
        served=at_once(stock_days=pl.col("stock_days").shift(40, fill_value=20.0)),
    ),
    "served unit": Fault(
        "skew",
        "couriers' hours are served in minutes",
        ("skew of courier_hours",),
        served=at_once(courier_hours=pl.col("courier_hours") * 60),
    ),
    "served nothing": Fault(
        "skew",
        "half of the ratings are not served",
        ("skew of rating",),
        served=some(0.5, rating=pl.lit(None)),
    ),
    "concept drift": Fault(
        "concept", "cheap orders come back, expensive ones do not", ("what the inputs say",), told=turned
    ),
    "base rate": Fault(
        "concept",
        "returns grow by half whatever is ordered",
        ("base rate", "labels", "what the inputs say"),
        told=at_once(eta=pl.col("eta") + 1.2),
    ),
    "label stall": Fault("label", "no label comes for four days, then all", ("labels",), 4, labels=None),
    "label delay": Fault(
        "label", "labels take six times as long", ("labels",), labels=at_once(wait_h=pl.col("wait_h") * 6)
    ),
    "late returns": Fault(
        "label",
        "labels of returns take eight times as long",
        ("labels",),
        labels=where(pl.col("label") == 1, wait_h=pl.col("wait_h") * 8),
    ),
    "flipped labels": Fault(
        "label",
        "a third of the labels say the opposite",
        ("base rate", "labels", "what the inputs say"),
        labels=some(
            0.33, label=FLIP, outcome=pl.when(FLIP == 1).then(pl.lit("returned")).otherwise(pl.lit("kept"))
        ),
    ),
    "void labels": Fault(
        "label",
        "a third of the outcomes are void",
        ("labels",),
        labels=some(0.33, label=pl.lit(None), outcome=pl.lit("void")),
    ),
    "lost labels": Fault(
        "label",
        "a third of the labels never come",
        ("labels",),
        labels=lambda rows, rng: rows.filter(pl.Series(rng.random(rows.height) > 0.33)),
    ),
    "slow answers": Fault(
        "operations",
        "latency is four times as high",
        ("requests",),
        5,
        served=at_once(latency_ms=pl.col("latency_ms") * 4),
    ),
    "errors": Fault(
        "operations", "one of ten requests fails", ("requests",), 5, served=some(0.1, status=pl.lit("error"))
    ),
    "timeouts": Fault(
        "operations",
        "one of ten requests times out",
        ("requests",),
        5,
        served=some(0.1, status=pl.lit("timeout")),
    ),
    "bad version": Fault("version", "v2 takes over, and is bad", ("v2 became", "v1 became"), served=as_v2),
    "replaced artifact": Fault(
        "version", "v1's file is another one", ("drift of score", "what the inputs say"), served=worse
    ),
    "local concept": Fault(
        "segment",
        "the north sends back what it kept",
        ("region north", "what the inputs say"),
        told=where(NORTH, eta=0.5 - pl.col("eta")),
    ),
    "local unit": Fault(
        "segment",
        "the south's prices are in cents",
        ("drift of price",),
        served=where(pl.col("region") == "south", price=PRICE * 100),
    ),
    "local skew": Fault(
        "segment",
        "the east is served a return_rate of 0",
        ("skew of return_rate",),
        served=where(pl.col("region") == "east", return_rate=pl.lit(0.0)),
    ),
}
FAULTS["label stall"] = replace(FAULTS["label stall"], labels=stalled(START, START + 4), early=4)
