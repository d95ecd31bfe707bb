"""A candidate held against the champion: as good, broken in one group, hardly tried; and going back."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm
from typer.testing import CliRunner

from mlobs_pipelines.contracts.folder import load_model
from mlobs_pipelines.core.metrics import METRICS
from mlobs_pipelines.core.vocabulary import Verdict
from mlobs_pipelines.settings import HashKey
from mlobs_pipelines.steps import release_record as records
from mlobs_pipelines.steps.guard import Asked, judge_release
from tests.core.pairs import delong_paired
from tests.steps import trial

CODES = {trial.BROKEN: 1, trial.FEW: 3}


class Place:
    """An installation in which the champion and its candidates have run."""

    def __init__(self, home):
        self.home, self.said = home, {}
        trial.contracts(home)
        rows, self.truth = trial.draw()
        trial.deliver(rows, home / "landing" / "loan_risk")
        self.walk = trial.walk_of(home)
        trial.go(self.walk)

    def mlobs(self, *arguments, **variables):
        """Run the command in this process."""
        from mlobs_pipelines.cli import app  # noqa: PLC0415 - heavy

        given = {"MLOBS_HOME": str(self.home), "MLOBS_CONTRACTS": str(self.home / "data_contracts")}
        return CliRunner().invoke(app, ["guard", "loan_risk", *arguments], env={**given, **variables})

    def judged(self, candidate, **asked):
        """What the guard says of a candidate, asked once."""
        key = (candidate, *sorted(asked.items()))
        if key not in self.said:
            self.said[key] = judge_release(self.walk, Asked(candidate, **asked))
        return self.said[key]

    def both(self, candidate, region=None):
        """Scores of candidate and champion, and labels, joined by hand."""
        known = self.truth.drop_nulls(["score", "label"])
        if region is not None:
            known = known.filter(pl.col("region") == region)
        own, other = (
            known.filter(pl.col("model_version") == name).select("prediction_id", "score", "label")
            for name in (candidate, "a")
        )
        joined = own.join(other.select("prediction_id", champion="score"), on="prediction_id")
        return (joined[name].to_numpy() for name in ("score", "champion", "label"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The installation; tests may add records to it."""
    return Place(tmp_path_factory.mktemp("trial"))


def found(judgement, what, region=""):
    """One finding."""
    mine = [one for one in judgement.findings if one.what == what and one.segment_value == region]
    return next(one for one in mine if one.test != "limit")


def test_an_equal_version_passes_in_every_group(place):
    """A candidate with the champion's own scores differs by exactly nothing and passes everywhere."""
    judgement = place.judged(trial.SAME)
    assert judgement.verdict is Verdict.PASS
    assert {str(one.verdict) for one in judgement.findings if not one.excused} == {"pass"}
    paired = [one for one in judgement.findings if one.check in ("quality", "calibration")]
    assert {one.difference for one in paired if one.segment_value != "__null__"} == {0.0}
    assert judgement.champion == "a"
    assert judgement.days == tuple(trial.DAYS)


def test_a_version_broken_in_one_segment_fails_and_names_it(place):
    """What is wrong in one region only fails there, is named, and leaves the other regions passing."""
    judgement = place.judged(trial.BROKEN)
    assert judgement.verdict is Verdict.FAIL
    assert any("region=north" in reason for reason in judgement.reasons)
    regions = {
        one.segment_value: one.verdict
        for one in judgement.findings
        if one.what == "auc" and one.segment == "region"
    }
    assert regions == {"north": "fail", "south": "pass", "east": "pass", "__null__": "pass"}


@pytest.mark.parametrize("region", ["", "north"])
def test_numbers_are_those_of_the_rows(place, region):
    """Differences of AUC and Brier score with their intervals are the papers' on the raw rows."""
    own, other, label = place.both(trial.BROKEN, region or None)
    judgement = place.judged(trial.BROKEN)
    area, brier = found(judgement, "auc", region), found(judgement, "brier_score", region)
    value, variance = delong_paired(own, other, label == 1)
    assert area.difference == pytest.approx(value, abs=2e-3)
    assert area.upper - area.lower == pytest.approx(2 * 1.96 * np.sqrt(variance), rel=0.05)
    moved = (own - label) ** 2 - (other - label) ** 2
    assert brier.difference == pytest.approx(moved.mean(), abs=1e-9)
    assert brier.upper - brier.lower == pytest.approx(
        2 * norm.ppf(0.975) * moved.std(ddof=1) / np.sqrt(moved.size), rel=1e-6
    )


def test_the_calibration_error_is_that_of_the_rows(place):
    """The difference of both ECEs, and its spread, are those of the same rows drawn again by hand."""
    own, other, label = place.both(trial.BROKEN, "north")
    one = found(place.judged(trial.BROKEN), "ece", "north")
    assert one.difference == pytest.approx(_ece(own, label) - _ece(other, label), abs=5e-3)
    rng, drawn = np.random.default_rng(0), []
    for _ in range(300):
        at = rng.integers(0, label.size, label.size)
        drawn.append(_ece(own[at], label[at]) - _ece(other[at], label[at]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert one.upper - one.lower == pytest.approx(high - low, rel=0.15)


def _ece(scores, labels, bins=15):
    place = np.minimum((scores * bins).astype(int), bins - 1)
    parts = [abs(scores[place == at].sum() - labels[place == at].sum()) for at in range(bins)]
    return sum(parts) / scores.size


def test_too_little_data_is_undecided(place):
    """Two days say nothing of what changes with the weekday, and the verdict says how many it takes."""
    judgement = place.judged(trial.FEW)
    assert judgement.verdict is Verdict.UNDECIDED
    assert "2 of the 7 days that a verdict takes" in found(judgement, "auc").reason


def test_other_requests_are_compared_as_two_samples(place):
    """A canary that answers requests of its own is held against the champion's others, unpaired."""
    judgement = place.judged(trial.CANARY)
    assert (judgement.pairs, judgement.roles) == (0, ("canary",))
    area = found(judgement, "auc")
    assert area.test == "two samples"
    assert area.lower < 0 < area.upper


@pytest.mark.parametrize(
    ("facts", "what", "said"),
    [
        ({"importance": {"amount": 0.2, "income": 0.3}}, "features", "income"),
        ({"training_dataset_id": "set-9"}, "training_dataset_id", "set-9"),
        ({"feature_set_version": "2"}, "feature_set_version", "says 1, same.json says 2"),
    ],
)
def test_papers_that_do_not_fit_fail(place, tmp_path, facts, what, said):
    """Unknown features, or another training or feature set than the traffic names, fail by name."""
    landing = tmp_path / "landing"
    (landing / "training").mkdir(parents=True)
    (landing / "training" / "same.json").write_text(json.dumps({**trial.FACTS, **facts}))
    judgement = judge_release(replace(place.walk, landing=landing), Asked(trial.SAME))
    assert judgement.verdict is Verdict.FAIL
    assert said in found(judgement, what).reason


def test_labels_that_are_not_there_yet_leave_quality_undecided(place):
    """As of a moment before the labels are due nothing is said of quality, and what is missing is told."""
    early = replace(place.walk, as_of=trial.AS_OF - timedelta(days=30))
    assert judge_release(early, Asked(trial.SAME)).verdict is Verdict.UNDECIDED


def test_a_version_that_never_ran_is_undecided(place):
    """A version that is declared and has neither traffic nor a baseline is told so, and holds up no other."""
    versions = dict(place.walk.spec.monitor.versions)
    monitor = place.walk.spec.monitor.model_copy(update={"versions": {**versions, "new": versions["b"]}})
    walk = replace(place.walk, spec=replace(place.walk.spec, monitor=monitor))
    assert found(judge_release(walk, Asked("b")), "traffic").verdict is Verdict.UNDECIDED
    said = judge_release(walk, Asked("new"))
    assert (found(said, "baseline").verdict, said.verdict) == (Verdict.FAIL, Verdict.FAIL)
    assert judge_release(walk, Asked(trial.SAME)).verdict is Verdict.PASS


def test_days_whose_labels_are_due_are_judged(place):
    """Unless a last day is named, days whose labels are still to come are left out."""
    days = trial.DAYS
    soon = replace(
        place.walk, spec=replace(place.walk.spec, monitor=_later(place.walk.spec.monitor, days=18))
    )
    assert judge_release(soon, Asked(trial.SAME)).days == tuple(days[:6])
    assert judge_release(soon, Asked(trial.SAME, last=days[-1])).days == tuple(days)


def _later(monitor, days):
    """The monitor of a model whose labels are due later."""
    labels = monitor.labels.model_copy(update={"horizon": timedelta(days=days)})
    return monitor.model_copy(update={"labels": labels})


def _under(place, changes):
    """The walk after somebody edited monitor.yaml."""
    folder = place.home / f"edit-{len(list(place.home.iterdir()))}"
    trial.contracts(folder)
    monitor = folder / "data_contracts" / "loan_risk" / "monitor.yaml"
    text = monitor.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    monitor.write_text(text, encoding="utf-8")
    return replace(place.walk, spec=load_model(monitor.parent, METRICS))


def test_skew_fails_by_feature(place):
    """Under the default limits the features that were served otherwise than recomputed fail, each by name."""
    walk = _under(place, {"skew_smape: null, skew_mismatch_share: null, ": ""})
    judgement = judge_release(walk, Asked(trial.SAME))
    bad = {one.feature for one in judgement.findings if one.check == "skew" and one.verdict is Verdict.FAIL}
    assert "balance" in bad


def test_small_groups_are_excused_only_together(place):
    """Groups that no verdict is possible on do not hold a release back while few rows are in them."""
    few = {"guard:": "guard:\n  min_pairs: 420"}
    strict, lenient = (
        judge_release(
            _under(place, {**few, "\n  limits:": f"\n  small_groups: {share}\n  limits:"}), Asked(trial.SAME)
        )
        for share in (0.05, 1.0)
    )
    assert strict.verdict is Verdict.UNDECIDED
    assert lenient.verdict is Verdict.PASS
    assert any(one.excused for one in lenient.findings)


@pytest.mark.parametrize("candidate", sorted(CODES))
def test_exit_codes_are_for_scripts(place, candidate):
    """The command ends with 1 or 3 as the verdict is (0 where a record is signed), and JSON says the same."""
    done = place.mlobs("--candidate", candidate, "--format", "json")
    told = json.loads(done.stdout)
    assert done.exit_code == CODES[candidate]
    assert told["verdict"] == {1: "fail", 3: "undecided"}[done.exit_code]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--candidate", "v9"], "unknown version v9"),
        (["--candidate", "same", "--champion", "v9"], "unknown version v9"),
        (["--candidate", "same", "--champion", "same"], "name two versions"),
        (["--candidate", "same", "--group", "dest"], "unknown group dest"),
        (["--candidate", "same", "--window", "36h"], "no number of days"),
        (["--candidate", "same", "--sign-off", "Jo"], "--reason"),
        ([], "--candidate"),
    ],
)
def test_wrong_usage_ends_with_2(place, arguments, said):
    """Unknown versions and groups, and what is missing, are named, and the exit code is 2."""
    done = place.mlobs(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_record_is_signed_and_verified(place, tmp_path):
    """A signed record verifies, is listed and audited; one changed character, or another key, is found."""
    from mlobs_pipelines.cli import app  # noqa: PLC0415 - heavy

    file, key = tmp_path / "record.md", {"MLOBS_RELEASE_KEY": "a key for records of releases"}
    signing = ["--sign-off", "Jo | <b>", "--reason", "shadow was good", "--record", str(file)]
    assert place.mlobs("--candidate", "same", *signing, **key).exit_code == 0
    env = {"MLOBS_HOME": str(place.home), "MLOBS_CONTRACTS": str(place.home / "data_contracts")}
    verify = ["releases", "loan_risk", "--verify", str(file)]
    good = CliRunner().invoke(app, verify, env={**env, **key})
    assert (good.exit_code, "unchanged since" in good.stdout.replace("\n", " ")) == (0, True)
    assert CliRunner().invoke(app, verify, env=env).exit_code == 1
    listed = json.loads(
        CliRunner().invoke(app, ["releases", "loan_risk", "--format", "json"], env=env).stdout
    )
    assert [(row["candidate"], row["verdict"], row["signed_by"]) for row in listed] == [
        ("same", "pass", "Jo | <b>")
    ]
    acts = CliRunner().invoke(app, ["audit", "loan_risk", "--format", "json"], env=env).stdout
    assert "guard.sign_off" in acts
    text = file.read_text(encoding="utf-8")
    assert "Jo \\| \\<b\\>" in text
    file.write_text(text.replace("| pass |", "| Pass |", 1), encoding="utf-8")
    changed = CliRunner().invoke(app, verify, env={**env, **key})
    assert changed.exit_code == 1
    assert "its hash is another" in changed.stderr.replace("\n", " ")


def test_a_record_without_a_key_says_what_its_hash_shows(place):
    """Without a key a record verifies by its hash alone, and says so; a forged signature does not verify."""
    judgement = place.judged(trial.SAME)
    signed = records.Signed("Jo", "why not", "jo", trial.AS_OF)
    plain = records.document(records.sealed(judgement, signed, None))
    assert records.verified(plain, None)[0]
    assert "no key was set" in plain
    key, other = (HashKey(text, "00000000") for text in (b"one key of the tests", b"another of the tests"))
    forged = records.document(records.sealed(judgement, signed, other))
    assert records.verified(forged, key) == (False, "the signature is not of this record")
    assert records.verified("# nothing", key)[0] is False


def test_going_back_is_advised_and_audited(place):
    """A champion that burns its budget is told with the version to go back to; its hook gets no secret."""
    done = place.mlobs("--champion-health", "--run-hook", "--format", "json", MLOBS_HMAC_KEY="k" * 20)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["champion"], told["verdict"]) == (1, "a", "fail")
    assert any("SLO answered" in one for one in told["breaches"])
    assert told["back_to"] in (trial.SAME, trial.CANARY, trial.FEW)
    assert f"roll back to {told['back_to']}" in told["why"]
    assert told["figures"][told["back_to"]]
    given = json.loads((place.home / "data_contracts" / "loan_risk" / "hooked.json").read_text())
    assert given["told"]["back_to"] == told["back_to"]
    assert not [name for name in given["seen"] if name.startswith("MLOBS_")]
    assert "token-of-the-hook" not in done.output
    assert "exit code 0" in done.stderr
