"""Settings: where things are kept, and the key that never shows."""

import hashlib
import json
import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from mlobs_pipelines.settings import HashKeys, Settings, hash_key, hash_keys

SECRET = "correct horse battery staple"  # noqa: S105 - searched for, guards nothing
OLDER = "an older key of thirty bytes.."


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


def test_a_named_key_file_that_is_missing_is_not_made(tmp_path):
    """A mistyped path must not hash everybody anew; the message names variable and file."""
    with pytest.raises(FileNotFoundError, match=r"MLOBS_HMAC_KEY_FILE names .*typo.*: write the key there"):
        hash_key(Settings(hmac_key_file=tmp_path / "typo"))
    assert not (tmp_path / "typo").exists()


def test_a_key_is_the_same_from_a_variable_and_from_a_file(tmp_path):
    """White space around it counts in neither."""
    (tmp_path / "key").write_text(f" {SECRET}\n")
    named = hash_key(Settings(hmac_key_file=tmp_path / "key"))
    assert named == hash_key(Settings(hmac_key=f"{SECRET} "))


def test_a_key_that_anybody_may_write_is_refused_and_one_they_may_read_is_told(tmp_path, caplog):
    """Mounted secrets are often readable; a key that others can replace is none. Neither says the key."""
    file = tmp_path / "key"
    file.write_text(SECRET)
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert hash_key(Settings(hmac_key_file=file)).secret == SECRET.encode()
    assert "may read the key in" in caplog.text
    assert SECRET not in caplog.text
    caplog.clear()
    file.chmod(0o600)
    hash_key(Settings(hmac_key_file=file))
    assert caplog.text == ""
    file.chmod(0o606)
    with pytest.raises(ValueError, match=r"may write the key in .*: chmod 600 it") as caught:
        hash_key(Settings(hmac_key_file=file))
    assert SECRET not in str(caught.value)


def test_a_rotation_has_two_keys_until_its_last_day(monkeypatch, tmp_path):
    """During the overlap identifiers are hashed with both keys, on its last day too, and with one after."""
    (tmp_path / "old").write_text(OLDER)
    monkeypatch.setenv("MLOBS_HMAC_KEY", SECRET)
    alone = hash_keys(Settings())
    assert alone == HashKeys(hash_key(Settings()))
    assert not alone.rotating(date(2026, 3, 31))
    monkeypatch.setenv("MLOBS_HMAC_PREVIOUS_KEY_FILE", str(tmp_path / "old"))
    monkeypatch.setenv("MLOBS_HMAC_OVERLAP_UNTIL", "2026-03-31")
    keys = hash_keys(Settings())
    assert keys.current == alone.current
    assert keys.previous is not None
    assert keys.previous.secret == OLDER.encode()
    assert (keys.rotating(date(2026, 3, 31)), keys.rotating(date(2026, 4, 1))) == (True, False)
    assert not [text for text in (repr(keys), str(keys), repr(Settings())) if SECRET in text or OLDER in text]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"previous_key": OLDER}, "set MLOBS_HMAC_OVERLAP_UNTIL to the last day"),
        ({"overlap_until": "2026-03-31"}, "without a previous key: set MLOBS_HMAC_PREVIOUS_KEY"),
        ({"previous_key": SECRET, "overlap_until": "2026-03-31"}, "is the present one: set MLOBS_HMAC_KEY"),
        ({"previous_key": "short", "overlap_until": "2026-03-31"}, "set a longer MLOBS_HMAC_PREVIOUS_KEY"),
        (
            {"previous_key": OLDER, "previous_key_file": "f"},
            "both MLOBS_HMAC_PREVIOUS_KEY and .*_FILE are set",
        ),
        ({"key_file": "f"}, "both MLOBS_HMAC_KEY and MLOBS_HMAC_KEY_FILE are set: unset one"),
        ({"previous_key_file": "f"}, "MLOBS_HMAC_PREVIOUS_KEY_FILE names f, which is no file"),
        ({"overlap_until": "31.3.2026"}, "not a day; write it as 2026-03-31"),
        ({"overlap_until": "1774915200"}, "not a day; write it as 2026-03-31"),
    ],
)
def test_a_rotation_that_is_half_declared_is_refused_without_the_keys(monkeypatch, given, says):
    """Each mistake says which variable to set, and no message quotes a key."""
    monkeypatch.setenv("MLOBS_HMAC_KEY", SECRET)
    for name, value in given.items():
        monkeypatch.setenv(f"MLOBS_HMAC_{name.upper()}", value)
    with pytest.raises((ValueError, FileNotFoundError), match=says) as caught:
        hash_keys(Settings())
    assert not [secret for secret in (SECRET, OLDER) if secret in str(caught.value)]


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


def test_a_folder_of_secrets_holds_what_the_environment_does_not(tmp_path, monkeypatch):
    """A file is named like its variable, in either case; the environment goes first; no secret is shown."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "mlobs_hmac_key").write_text(f"{SECRET}\n")
    (folder / "MLOBS_MIRROR_URL").write_text(f"postgresql://u:{SECRET}@h/m")
    (folder / "mlobs_sources").write_text(json.dumps({"warehouse": {"url": SECRET}}))
    (folder / "mlobs_memory").write_text("3GB")
    monkeypatch.setenv("MLOBS_SECRETS_DIR", str(folder))
    monkeypatch.setenv("MLOBS_MEMORY", "2GB")
    settings = Settings()
    assert settings.memory == "2GB"
    assert hash_key(settings).secret == SECRET.encode()
    assert settings.source_access == {"warehouse": {"url": SECRET}}
    assert settings.mirror_url.get_secret_value().endswith("@h/m")
    assert not [text for text in (repr(settings), settings.model_dump_json()) if SECRET in text]
    monkeypatch.setenv("MLOBS_SECRETS_DIR", str(tmp_path / "none"))
    assert Settings().hmac_key is None


def test_settings_cannot_be_changed_and_take_no_zero_threads():
    """They are read once; a count of threads is at least one."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().threads = 3
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Settings(threads=0)
