"""Settings: where things are kept, and the key that never shows."""

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlobs_pipelines.settings import Settings, hash_key

SECRET = "correct horse battery staple"  # noqa: S105 - searched for, guards nothing


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No variable and no .env file of this machine takes part."""
    for name in [name for name in os.environ if name.startswith(("MLOBS_", "DAGSTER_HOME"))]:  # noqa: TID251 - to clear it
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_the_first_use_makes_a_key_that_only_its_owner_reads(tmp_path):
    """A fresh installation gets 32 random bytes in a file of mode 0600, and keeps them."""
    settings = Settings(home=tmp_path / "home")
    key = hash_key(settings)
    file = tmp_path / "home" / "hmac.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(key.secret) == 64
    assert hash_key(settings) == key
    assert hash_key(Settings(home=tmp_path / "other")).secret != key.secret


def test_two_first_uses_at_once_agree_on_one_key(tmp_path):
    """Processes that start together never read a key that is half written."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: hash_key(Settings(home=tmp_path / "home")).secret, range(16)))
    assert len(set(found)) == 1


def test_the_key_shows_in_no_representation(monkeypatch):
    """Neither settings nor key say the secret; the public name is eight digits of its hash."""
    monkeypatch.setenv("MLOBS_HMAC_KEY", SECRET)
    monkeypatch.setenv("MLOBS_POSTGRES_URL", f"postgresql://user:{SECRET}@host/db")
    settings = Settings()
    key = hash_key(settings)
    assert key.secret == SECRET.encode()
    assert key.key_id == hashlib.sha256(SECRET.encode()).hexdigest()[:8]
    said = [repr(settings), str(settings), settings.model_dump_json(), repr(key), str(key), f"{key}"]
    assert not [text for text in said if SECRET in text]


@pytest.mark.parametrize("given", ["", "fifteen bytes..", "   "])
def test_a_short_key_is_refused_without_being_quoted(monkeypatch, given):
    """Fewer than sixteen bytes are no key, and the message says what to set."""
    monkeypatch.setenv("MLOBS_HMAC_KEY", given)
    with pytest.raises(ValueError, match="shorter than 16 bytes: set a longer MLOBS_HMAC_KEY") as caught:
        hash_key(Settings())
    assert not given or given not in str(caught.value)


def test_a_key_file_is_read_without_its_line_end(tmp_path):
    """A key in a file of its own counts without white space around it."""
    file = tmp_path / "key"
    file.write_text(f"{SECRET}\n")
    assert hash_key(Settings(hmac_key_file=file)).secret == SECRET.encode()
    file.write_text("short\n")
    with pytest.raises(ValueError, match="shorter than 16 bytes"):
        hash_key(Settings(hmac_key_file=file))


def test_places_follow_home_unless_said_otherwise(tmp_path, monkeypatch):
    """Landing zone, lake, spill and Dagster's home lie under home, each of which may be set."""
    settings = Settings(home=tmp_path)
    assert settings.landing_root == tmp_path / "landing"
    assert settings.lake_root == str(tmp_path / "lake")
    assert settings.spill == tmp_path / "spill"
    assert settings.dagster_home == tmp_path / "dagster"
    monkeypatch.setenv("MLOBS_LAKE", "s3://bucket/lake")
    monkeypatch.setenv("MLOBS_LAKE_OPTIONS", '{"region": "eu"}')
    monkeypatch.setenv("MLOBS_LANDING", str(tmp_path / "zone"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dg"))
    moved = Settings()
    assert (moved.lake_root, moved.lake_options) == ("s3://bucket/lake", {"region": "eu"})
    assert (moved.landing_root, moved.dagster_home) == (tmp_path / "zone", tmp_path / "dg")


def test_settings_cannot_be_changed_and_take_no_zero_threads():
    """They are read once; a count of threads is at least one."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().threads = 3
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Settings(threads=0)
