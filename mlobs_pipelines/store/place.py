"""Where a lake lives: the paths of its tables and the filesystem that opens their files.

A local folder or the URL of an object store. Delta's log is not read here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_S3_OPTIONS = {
    "access_key_id": "access_key",
    "secret_access_key": "secret_key",
    "session_token": "session_token",
    "region": "region",
    "endpoint_url": "endpoint_override",
    "endpoint": "endpoint_override",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, local or remote, with the options that open it.

    Attributes
    ----------
    root
        A path, a ``file://`` URL or the URL of an object store such as ``s3://bucket/lake``.
    options
        Credentials and endpoints under the names that delta-rs gives them; never printed.
    """

    root: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether files can be opened by their path."""
        return "://" not in self.root or self.root.startswith("file://")

    @property
    def base(self) -> str:
        """The root as tables are addressed: an absolute path, or the URL without a last slash."""
        if not self.is_local:
            return self.root.rstrip("/")
        path = unquote(urlsplit(self.root).path) if self.root.startswith("file://") else self.root
        return str(Path(path).expanduser().absolute())

    def table(self, model: str, name: str) -> str:
        """Address of a table's folder."""
        for part in (model, name):
            if not _NAME.fullmatch(part):
                raise ValueError(
                    "models and tables are named with letters, digits, dot, dash and underscore only"
                )
        return f"{self.base}/{model}/{name}"

    def tables(self, model: str) -> list[str]:
        """Names of the folders of a model that hold a Delta log."""
        filesystem = self.filesystem()
        folder = self.inside(f"{self.base}/{model}")
        listed = filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        names = sorted(info.base_name for info in listed if info.type == fs.FileType.Directory)
        logs = filesystem.get_file_info([f"{folder}/{name}/_delta_log" for name in names])
        return [name for name, log in zip(names, logs, strict=True) if log.type == fs.FileType.Directory]

    def filesystem(self) -> fs.FileSystem:
        """The Arrow filesystem that opens files of this place."""
        if self.is_local:
            return fs.LocalFileSystem()
        if self.root.startswith("s3://"):
            return fs.S3FileSystem(**self._s3_arguments())
        try:
            return fs.FileSystem.from_uri(self.base)[0]
        except pa.ArrowInvalid:
            raise ValueError(f"no filesystem for a lake at {urlsplit(self.root).scheme}://") from None

    def inside(self, address: str) -> str:
        """An address of this place as its filesystem names it."""
        return address if self.is_local else address.split("://", 1)[1]

    def _s3_arguments(self) -> dict[str, str]:
        plain = {name.lower().removeprefix("aws_"): value for name, value in self.options.items()}
        known = {_S3_OPTIONS[name]: value for name, value in plain.items() if name in _S3_OPTIONS}
        if known.get("endpoint_override", "").startswith("http://"):
            known["scheme"] = "http"
        return known
