"""The image: made of what is locked, nothing to develop with, run by nobody in particular."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "deploy" / "image"
DOCKERFILE = (IMAGE / "Dockerfile").read_text(encoding="utf-8")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


def _instructions():
    joined = re.sub(r"\\\n\s*", " ", "\n".join(line for line in DOCKERFILE.splitlines() if line[:1] != "#"))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line]


def _pins(path):
    return dict(PIN.findall(path.read_text(encoding="utf-8")))


def test_the_image_has_the_versions_that_were_tested_and_each_by_its_hash():
    """Every package of the image is locked to the version the tests run on, with hashes of its files."""
    own = _pins(IMAGE / "requirements.lock")
    tested = _pins(ROOT / "requirements.lock")
    assert {"dagster", "dagster-postgres", "dagster-k8s", "deltalake", "opentelemetry-sdk"} <= own.keys()
    assert {name: tested.get(name) for name in own} == own
    blocks = re.split(r"^(?=[a-z0-9])", (IMAGE / "requirements.lock").read_text(), flags=re.MULTILINE)[1:]
    assert not [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block]


def test_the_image_has_nothing_to_develop_with():
    """What only tests and builds need stays out: fewer files to patch and to carry."""
    unwanted = {"pytest", "hypothesis", "moto", "selenium", "ruff", "mypy", "coverage", "uv", "pyspark"}
    assert not unwanted & _pins(IMAGE / "requirements.lock").keys()


def test_the_image_is_built_in_stages_and_runs_as_nobody():
    """Dependencies are installed by hash only; the last stage is a user by number and says if it is well."""
    said = _instructions()
    assert [what for what, _ in said].count("FROM") == 2
    runs = [text for what, text in said if what == "RUN" and "pip install" in text]
    assert all("--no-deps" in text for text in runs)
    assert "--require-hashes" in runs[0]
    last = said[max(number for number, (what, _) in enumerate(said) if what == "FROM") :]
    assert ("USER", "10001:10001") in last
    assert {"HEALTHCHECK", "CMD"} <= {what for what, _ in last}
    assert not re.search(r"(PASSWORD|SECRET|KEY|TOKEN)=", DOCKERFILE)


def test_what_is_copied_exists_and_reaches_the_builder():
    """Each file the image copies is in the project, and not kept from the builder."""
    kept = (IMAGE / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let = [line[1:] for line in kept if line.startswith("!")]
    copied = [text.split()[:-1] for what, text in _instructions() if what == "COPY" and "--from" not in text]
    for path in (path for paths in copied for path in paths):
        assert (ROOT / path).exists(), path
        assert any(path == one or path.startswith(f"{one}/") for one in let), path
