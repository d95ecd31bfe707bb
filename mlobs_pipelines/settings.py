"""The one place that reads the environment: where things are kept, and how much of the machine may be used.

What a model is watched for is not a setting; that is declared under `data_contracts/`.
"""

import getpass
import hashlib
import logging
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

SHORTEST_KEY = 16
_log = logging.getLogger("mlobs.settings")


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


@dataclass(frozen=True, slots=True)
class HashKeys:
    """The key in use and, while it is being replaced, the one before it.

    Attributes
    ----------
    current
        What identifiers are hashed with.
    previous
        The key before; None where none was declared.
    overlap_until
        Last day of deliveries whose identifiers are hashed with both, so that joins find what the previous
        key hashed; None where no previous key was declared.
    """

    current: HashKey
    previous: HashKey | None = None
    overlap_until: date | None = None

    def rotating(self, day: date) -> bool:
        """Whether the identifiers of a day's deliveries are hashed with both keys."""
        return self.previous is not None and self.overlap_until is not None and day <= self.overlap_until


def _day(value: object) -> object:
    # Told as ISO text only: pydantic would take a number for seconds since 1970.
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("not a day; write it as 2026-03-31") from None


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
    hmac_previous_key, hmac_previous_key_file
        The key before this one, while joins must still find what it hashed.
    hmac_overlap_until
        Last day of deliveries that are hashed with both keys.
    sources
        Credentials and endpoints of the contracts' servers, as JSON: by the server's name, option and value;
        ``url`` for a database, the options of the object store for files.
    channels
        Who is told of incidents, as JSON: by the channel's name its addresses, as Apprise writes them.
    release_key
        Key that records of releases are signed with (HMAC); without one they carry a hash only.
    memory
        Upper bound of the SQL engine's working memory.
    threads
        Worker threads of the SQL engine.
    spark_master
        Where models with ``engine: spark`` work on rows: a Spark master.
    spark_conf
        File of further properties of Spark, as ``spark-defaults.conf`` is written.
    retention_statistics_days
        How long statistics, metrics and records without rows are kept; for ever if unset. How long rows are
        kept is in their contracts.
    retention_versions_days
        How long replaced and expired partitions can still be read by version, and how old a file must be to
        count as left behind.
    dagster_url
        Where Dagster's pages are, as in ``http://localhost:3000``, for links to them; no links if unset.
    mirror_url
        Database that metrics are published to.
    postgres_url
        Database for Dagster's runs, events and schedules; SQLite in ``DAGSTER_HOME`` if unset.
    log_format
        How what happens is told on standard error: lines for people, or objects for a log collector.
    secrets_dir
        Folder of files, each named like the variable whose value it holds; the environment goes first.
    """

    model_config = SettingsConfigDict(env_prefix="MLOBS_", env_file=".env", extra="ignore", frozen=True)

    contracts: Path = Path("data_contracts")
    home: Path = Path(".mlobs")
    landing: Path | None = None
    lake: str | None = None
    lake_options: dict[str, str] = Field(default_factory=dict, repr=False)  # may hold credentials
    hmac_key: SecretStr | None = None
    hmac_key_file: Path | None = None
    hmac_previous_key: SecretStr | None = None
    hmac_previous_key_file: Path | None = None
    hmac_overlap_until: Annotated[date | None, BeforeValidator(_day)] = None
    sources: dict[str, dict[str, SecretStr]] = Field(default_factory=dict)
    channels: dict[str, list[SecretStr]] = Field(default_factory=dict)
    release_key: SecretStr | None = None
    memory: str = "1GB"
    threads: int = Field(default=2, ge=1)
    spark_master: str = "local[*]"
    spark_conf: Path | None = None
    retention_statistics_days: int | None = Field(default=None, ge=1)
    retention_versions_days: int = Field(default=7, ge=1)
    postgres_url: SecretStr | None = None
    mirror_url: SecretStr | None = None
    dagster_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")] | None = None
    log_format: Literal["text", "json"] = "text"
    secrets_dir: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read secrets from the files of ``MLOBS_SECRETS_DIR`` too, where it is a folder."""
        folder = os.environ.get("MLOBS_SECRETS_DIR", "")  # noqa: TID251 - here
        if Path(folder or os.devnull).is_dir():
            file_secret_settings = SecretsSettingsSource(settings_cls, secrets_dir=folder)
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @property
    def landing_root(self) -> Path:
        """Folder with one landing zone per model."""
        return self.landing or self.home / "landing"

    @property
    def lake_root(self) -> str:
        """Root of the Delta tables."""
        return self.lake or str(self.home / "lake")

    @property
    def source_access(self) -> dict[str, dict[str, str]]:
        """What `sources` says, in the clear."""
        return {
            name: {option: value.get_secret_value() for option, value in options.items()}
            for name, options in self.sources.items()
        }

    @property
    def channel_addresses(self) -> dict[str, list[str]]:
        """What `channels` says, in the clear."""
        return {name: [one.get_secret_value() for one in found] for name, found in self.channels.items()}

    @property
    def spill(self) -> Path:
        """Folder for data that exceeds the engine's memory."""
        return self.home / "spill"

    @property
    def telemetry_endpoint(self) -> str | None:
        """Where spans and metrics go, by OpenTelemetry's own variable; None where nobody collects them."""
        return os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None  # noqa: TID251 - here

    @property
    def dagster_home(self) -> Path:
        """Folder of the Dagster instance: ``DAGSTER_HOME``, or ``<home>/dagster``."""
        return Path(os.environ.get("DAGSTER_HOME") or self.home / "dagster").absolute()  # noqa: TID251 - here


def outside_environment() -> dict[str, str]:
    """What a command of the user's inherits: all but the settings of this product, which hold its secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MLOBS_")}  # noqa: TID251 - here


def release_key(settings: Settings) -> HashKey | None:
    """Read the key that records of releases are signed with; None where there is none.

    Raises
    ------
    ValueError
        If it is shorter than 16 bytes.
    """
    return _given("MLOBS_RELEASE_KEY", settings.release_key, None)


def operating_user() -> str:
    """The user of the operating system, whatever the environment says it is."""
    try:
        import pwd  # noqa: PLC0415 - not everywhere

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return getpass.getuser()


def hash_keys(settings: Settings) -> HashKeys:
    """Read the key for hashing identifiers and, during a rotation, the one before it.

    Raises
    ------
    ValueError
        If a key is shorter than 16 bytes or given in two ways, if the previous key is the present one, if
        only one of previous key and end of overlap is given, or if anybody may write a key's file.
    FileNotFoundError
        If a key's file is named and missing.
    """
    current = hash_key(settings)
    previous = _given("MLOBS_HMAC_PREVIOUS_KEY", settings.hmac_previous_key, settings.hmac_previous_key_file)
    if previous is None and settings.hmac_overlap_until is None:
        return HashKeys(current)
    if previous is None:
        raise ValueError(
            "MLOBS_HMAC_OVERLAP_UNTIL is set without a previous key: set MLOBS_HMAC_PREVIOUS_KEY or "
            "MLOBS_HMAC_PREVIOUS_KEY_FILE, or unset it"
        )
    if settings.hmac_overlap_until is None:
        raise ValueError(
            "a previous key is set without an end: set MLOBS_HMAC_OVERLAP_UNTIL to the last day that is "
            "hashed with both keys, as in 2026-03-31"
        )
    if previous.key_id == current.key_id:
        raise ValueError(
            "the previous key for hashing identifiers is the present one: set MLOBS_HMAC_KEY (or its file) "
            "to the new key and MLOBS_HMAC_PREVIOUS_KEY (or its file) to the old one"
        )
    return HashKeys(current, previous, settings.hmac_overlap_until)


def hash_key(settings: Settings) -> HashKey:
    """Read the key for hashing identifiers, making one at the first use of a fresh installation.

    Raises
    ------
    ValueError
        If the key is shorter than 16 bytes or given in two ways, or if anybody may write its file.
    FileNotFoundError
        If its file is named and missing: a new key in its place would hash everybody to a stranger.
    """
    given = _given("MLOBS_HMAC_KEY", settings.hmac_key, settings.hmac_key_file)
    if given is not None:
        return given
    path = settings.home / "hmac.key"
    if not path.exists():
        _make_key(path)
    return _named(_key_in(path), "MLOBS_HMAC_KEY")


def _given(variable: str, value: SecretStr | None, file: Path | None) -> HashKey | None:
    if value is not None and file is not None:
        raise ValueError(f"both {variable} and {variable}_FILE are set: unset one of them")
    if value is not None:
        return _named(value.get_secret_value().strip().encode(), variable)
    if file is None:
        return None
    if not file.is_file():
        raise FileNotFoundError(f"{variable}_FILE names {file}, which is no file: write the key there")
    return _named(_key_in(file), variable)


def _named(secret: bytes, variable: str) -> HashKey:
    if len(secret) < SHORTEST_KEY:
        raise ValueError(f"the key is shorter than {SHORTEST_KEY} bytes: set a longer {variable}")
    return HashKey(secret, hashlib.sha256(secret).hexdigest()[:8])


def _key_in(path: Path) -> bytes:
    # Secrets that an orchestrator mounts are readable by all users of their container: told, not refused.
    mode = path.stat().st_mode
    if mode & stat.S_IWOTH:
        raise ValueError(f"every user of this machine may write the key in {path}: chmod 600 it")
    if mode & stat.S_IROTH:
        _log.warning("every user of this machine may read the key in %s: chmod 600 it", path)
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
