"""The one place that reads the environment: where things are kept, and how much of the machine may be used.

What a model is watched for is not a setting; that is declared under `data_contracts/`.
"""

import hashlib
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class HashKey:
    """The key that identifiers are hashed with, and a public name for it.

    Attributes
    ----------
    secret
        Key of the HMAC; never shown.
    key_id
        First eight hex digits of its SHA-256, kept with what was hashed.
    """

    secret: bytes
    key_id: str

    def __repr__(self) -> str:
        """Show the public name only."""
        return f"HashKey(key_id={self.key_id!r})"


class Settings(BaseSettings):
    """Settings of one installation, each from an environment variable ``MLOBS_<NAME>``.

    Attributes
    ----------
    contracts
        Folder with one folder per monitored model.
    home
        Folder for everything this installation keeps, unless said otherwise below.
    landing
        Folder with one landing zone per model; ``<home>/landing`` if unset.
    lake
        Root of the Delta tables, a path or URL; ``<home>/lake`` if unset.
    lake_options
        Options of the object store, as JSON.
    hmac_key, hmac_key_file
        Key for hashing identifiers, or a file that holds it; ``<home>/hmac.key``, made at first use, if
        unset.
    memory
        Upper bound of the SQL engine's working memory.
    threads
        Worker threads of the SQL engine.
    postgres_url
        Database for Dagster's runs, events and schedules; SQLite in ``DAGSTER_HOME`` if unset.
    """

    model_config = SettingsConfigDict(env_prefix="MLOBS_", env_file=".env", extra="ignore", frozen=True)

    contracts: Path = Path("data_contracts")
    home: Path = Path(".mlobs")
    landing: Path | None = None
    lake: str | None = None
    lake_options: dict[str, str] = Field(default_factory=dict)
    hmac_key: SecretStr | None = None
    hmac_key_file: Path | None = None
    memory: str = "1GB"
    threads: int = Field(default=2, ge=1)
    postgres_url: SecretStr | None = None

    @property
    def landing_root(self) -> Path:
        """Folder with one landing zone per model."""
        return self.landing or self.home / "landing"

    @property
    def lake_root(self) -> str:
        """Root of the Delta tables."""
        return self.lake or str(self.home / "lake")

    @property
    def spill(self) -> Path:
        """Folder for data that exceeds the engine's memory."""
        return self.home / "spill"

    @property
    def dagster_home(self) -> Path:
        """Folder of the Dagster instance: ``DAGSTER_HOME``, or ``<home>/dagster``."""
        return Path(os.environ.get("DAGSTER_HOME") or self.home / "dagster").absolute()  # noqa: TID251 - here


def hash_key(settings: Settings) -> HashKey:
    """Read the key for hashing identifiers, making one at the first use of a fresh installation.

    Raises
    ------
    ValueError
        If the key is shorter than 16 bytes.
    """
    if settings.hmac_key is not None:
        secret = settings.hmac_key.get_secret_value().encode()
    else:
        secret = _key_in(settings.hmac_key_file or settings.home / "hmac.key")
    if len(secret) < 16:
        raise ValueError(
            "the key for hashing identifiers is shorter than 16 bytes: set a longer MLOBS_HMAC_KEY"
        )
    return HashKey(secret, hashlib.sha256(secret).hexdigest()[:8])


def _key_in(path: Path) -> bytes:
    if not path.exists():
        _make_key(path)
    return path.read_bytes().strip()


def _make_key(path: Path) -> None:
    # Written aside and linked: processes that start together see the whole key of one of them, never a part.
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".key-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        Path(aside).unlink()
