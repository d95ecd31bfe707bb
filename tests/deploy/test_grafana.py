"""The Grafana dashboards: made by their script, understood by Grafana's own model, each query run."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from sqlalchemy import create_engine, text

from tests.cli.stored import HOSTILE, MODEL, fill, run
from tests.postgres import database
from tests.test_readme import ROOT

FOLDER = ROOT / "deploy" / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"))
MACROS = {
    r'\$__timeFilter\(("?\w+"?)\)': r"\1 BETWEEN '2013-01-01' AND '2014-01-01'",
    r"\$__timeFrom\(\)": "timestamptz '2013-01-01'",
    r"\$__timeTo\(\)": "timestamptz '2014-01-01'",
}
ROLES = (ROOT / "deploy" / "postgres" / "roles.sql").read_text()


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """Give a database to which a small lake was published by the command, read as a dashboard."""
    home = tmp_path_factory.mktemp("mirrored")
    fill(home / "lake")
    with database("grafana") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOBS_MIRROR_URL", url)
        assert "0 gone" in run(home, "publish", MODEL, "--migrate")
        assert ": 0 new or changed, 0 gone" in run(home, "publish", MODEL)
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
        with engine.begin() as connection:
            connection.execute(text(ROLES))
        with engine.connect() as connection:
            connection.execute(text("SET ROLE mlobs_dashboard"))
            yield connection
        engine.dispose()


def _panels():
    for path in FILES:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets") or ():
                yield path.stem, panel["title"], target


def _filled(query, model=MODEL, versions=("v1", "v2")):
    quoted = ["'" + name.replace("'", "''") + "'" for name in (model, *versions)]
    query = query.replace("${model:sqlstring}", quoted[0]).replace(
        "${version:sqlstring}", ",".join(quoted[1:])
    )
    for macro, meaning in MACROS.items():
        query = re.sub(macro, meaning, query)
    assert "$" not in query
    return query.replace(":", "\\:")


def test_every_panel_answers(mirror):
    """As the dashboards' role each query runs, has the columns of its format, and rows."""
    empty = []
    for board, title, target in _panels():
        found = mirror.execute(text(_filled(target["rawSql"])))
        if target["format"] == "time_series":
            assert list(found.keys()) == ["time", "metric", "value"], title
        empty += [] if found.fetchall() else [(board, title)]
    assert not empty


def test_views_say_what_the_lake_says(mirror):
    """Budgets of the newest day, the open incident, drift by place; a hostile name is but a value."""
    left = mirror.execute(text("SELECT model_version, budget_left, owners FROM mlobs.slo_current ORDER BY 1"))
    assert left.fetchall() == [("v1", 0.4, "team:flight-ops"), ("v2", -0.2, "team:flight-ops")]
    assert mirror.execute(text("SELECT incident FROM mlobs.open_incidents")).scalar_one().endswith("-a")
    ranked = (
        "SELECT value FROM mlobs.drift_top WHERE (model_version, \"window\") = ('v1', '7d') ORDER BY place"
    )
    values = mirror.execute(text(ranked)).scalars().all()
    assert values == sorted(values, reverse=True)
    named = text("SELECT count(*) FROM mlobs.current_metrics WHERE segment_value = :name")
    assert mirror.execute(named, {"name": HOSTILE}).scalar_one() > 0


def test_names_from_variables_are_quoted(mirror):
    """A model's or version's name cannot end the string that it stands in."""
    evil = "x'; DROP VIEW mlobs.trends; --"
    for _, _, target in _panels():
        assert not re.search(r"\$\{?(model|version)\b(?!:sqlstring\})", target["rawSql"])
        mirror.execute(text(_filled(target["rawSql"], evil, (evil,)))).fetchall()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_dashboards_are_what_grafana_understands(path):
    """Grafana's own model reads each file and gives it back; no panel lies over another."""
    from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415 - only here

    given = json.loads(path.read_text())
    read = Dashboard.from_json(given)
    assert read.uid == given["uid"]
    assert [panel.title for panel in read.panels] == [panel["title"] for panel in given["panels"]]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in given["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_files_are_those_of_the_script(tmp_path):
    """Nobody has changed a dashboard by hand, or the script without running it."""
    copy = tmp_path / "build.py"
    copy.write_text((FOLDER / "build.py").read_text())
    (tmp_path / "dashboards").mkdir()
    subprocess.run([sys.executable, copy], check=True, env=dict(os.environ))  # noqa: TID251 - the test's own
    for path in FILES:
        assert (tmp_path / "dashboards" / path.name).read_text() == path.read_text(), path.name


def test_provisioning_names_what_there_is():
    """The source has the panels' id, the folder is the one that is mounted, no secret is in a file."""
    (source,) = yaml.safe_load((FOLDER / "provisioning/datasources/mlobs.yaml").read_text())["datasources"]
    assert {target["datasource"]["uid"] for _, _, target in _panels()} == {source["uid"]}
    assert {target["datasource"]["type"] for _, _, target in _panels()} == {source["type"]}
    assert source["secureJsonData"]["password"].startswith("$__file{")
    (provider,) = yaml.safe_load((FOLDER / "provisioning/dashboards/mlobs.yaml").read_text())["providers"]
    compose = (ROOT / "deploy/compose/compose.yaml").read_text()
    assert f"../grafana/dashboards:{provider['options']['path']}:ro" in compose
