"""The way in: one folder of `data_contracts/` becomes one `ModelSpec`, or one error that names every problem.

Older versions of contracts lie in its folder `older/`. What the documents may say is decided in `monitor`,
`odcs_checks`, `older` and `crosscheck`.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlobs_pipelines.contracts.crosscheck import Read, cross_problems
from mlobs_pipelines.contracts.custom import Custom, read_custom
from mlobs_pipelines.contracts.documents import Document, read_document
from mlobs_pipelines.contracts.monitor import Monitor
from mlobs_pipelines.contracts.monitor_reader import check_metrics, read_monitor
from mlobs_pipelines.contracts.odcs import DATASETS, Contract, Dataset, Table
from mlobs_pipelines.contracts.odcs_reader import read_contract
from mlobs_pipelines.contracts.older import Aged, older_problems, read_older, stray_problems
from mlobs_pipelines.contracts.problems import ContractError, Problem, listed
from mlobs_pipelines.core.metrics import METRICS, Metric

_OLDER = re.compile(rf"({'|'.join(DATASETS)})-(.+)\.odcs\.yaml")
_FILES: dict[str, str] = {"monitor": "monitor.yaml"} | {name: f"{name}.odcs.yaml" for name in DATASETS}


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that is declared about one model.

    Attributes
    ----------
    monitor
        What is watched.
    predictions, features, labels
        What the producers promise; `features` has one table per feature view.
    hash
        SHA-256 (hex) over all documents, whose comments and layout do not change it, and modules.
    custom
        Metrics of the model's own.
    """

    monitor: Monitor
    predictions: Contract
    features: Contract
    labels: Contract
    hash: str
    custom: Custom = field(default_factory=Custom)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric of the model by name: the product's, and those of its own."""
        return {**METRICS, **self.custom.metrics}

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.monitor.model

    def contract(self, dataset: Dataset) -> Contract:
        """Return the contract of one dataset."""
        return {"predictions": self.predictions, "features": self.features, "labels": self.labels}[dataset]

    def table(self, dataset: Dataset, view: str = "") -> Table:
        """Return the table of predictions or labels, or of one feature view."""
        return self.contract(dataset).table(view or dataset)


def check_folder(folder: Path, metrics: Collection[str] | None = None) -> list[Problem]:
    """Return everything that is wrong with one model's folder, by file and line.

    Parameters
    ----------
    folder
        `data_contracts/<model>`.
    metrics
        Names of the metrics that objectives may judge; None leaves them unchecked.
    """
    return _read(folder, metrics)[1]


def load_model(folder: Path, metrics: Collection[str] | None = None) -> ModelSpec:
    """Return what is declared about one model.

    Parameters
    ----------
    folder
        `data_contracts/<model>`.
    metrics
        Names of the metrics that objectives may judge; None leaves them unchecked.

    Raises
    ------
    ContractError
        If anything is wrong; names every problem by file and line.
    """
    return _spec(*_read(folder, metrics))


def load_models(root: Path, metrics: Collection[str] | None = None) -> dict[str, ModelSpec]:
    """Return what is declared about every model under `data_contracts/`, by name.

    Raises
    ------
    ContractError
        If anything is wrong in any folder; names every problem of all of them.
    """
    if not root.is_dir():
        raise ContractError(
            [Problem(str(root), 0, "", "no such folder", "name the folder of data contracts")]
        )
    folders = [folder for folder in sorted(root.iterdir()) if folder.is_dir() and folder.name[0] not in "._"]
    found = {folder.name: _read(folder, metrics) for folder in folders}
    problems = [problem for _, wrong, _ in found.values() for problem in wrong]
    if problems:
        raise ContractError(problems)
    return {name: _spec(*one) for name, one in found.items()}


def _spec(read: Read, problems: list[Problem], custom: Custom) -> ModelSpec:
    if problems or read.monitor is None:
        raise ContractError(problems)
    contracts = read.contracts
    return ModelSpec(
        monitor=read.monitor,
        predictions=contracts["predictions"],
        features=contracts["features"],
        labels=contracts["labels"],
        hash=_hash(read.documents, custom),
        custom=custom,
    )


def _read(folder: Path, metrics: Collection[str] | None) -> tuple[Read, list[Problem], Custom]:
    problems = _strangers(folder)
    documents: dict[str, Document] = {}
    for stem, file in _FILES.items():
        document, found = read_document(folder / file)
        problems += found
        if document is not None:
            documents[stem] = document
    monitor, custom, found = _monitor(folder, documents, metrics)
    contracts, more = _contracts(folder, documents)
    read = Read(monitor, contracts, documents)
    return read, sorted({*problems, *found, *more, *cross_problems(read)}), custom


def _strangers(folder: Path) -> list[Problem]:
    """Return documents that nothing would read, such as a contract under a mistyped name."""
    if not folder.is_dir():
        return [Problem(str(folder), 0, "", "no such folder", "name a folder of data_contracts")]
    known = sorted(_FILES.values())
    files = [file for file in _yaml(folder) if file.name not in known]
    old = [file for file in _yaml(folder / "older") if not _OLDER.fullmatch(file.name)]
    said, valid = "nothing reads this document", f"valid names: {', '.join(known)}"
    found = [Problem(str(file), 0, "", said, valid) for file in files]
    named = f"name it {listed(DATASETS)}, a hyphen, its version and .odcs.yaml"
    return found + [Problem(str(file), 0, "", said, named) for file in old]


def _yaml(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.glob("*")) if file.suffix in (".yaml", ".yml")]


def _monitor(
    folder: Path, documents: dict[str, Document], metrics: Collection[str] | None
) -> tuple[Monitor | None, Custom, list[Problem]]:
    document = documents.get("monitor")
    if document is None:
        return None, Custom(), []
    monitor, problems = read_monitor(document)
    if monitor is None:
        return None, Custom(), problems
    custom, found = read_custom(folder, monitor.custom_metrics, document)
    problems += found
    if monitor.model != folder.resolve().name:
        said = f"the model is {monitor.model!r} and its folder {folder.resolve().name!r}"
        problems.append(document.problem(("model",), said, "give both one name"))
    if metrics is not None:
        problems += check_metrics(monitor, _with(metrics, custom), document)
    return monitor, custom, problems


def _with(metrics: Collection[str], custom: Custom) -> Collection[str]:
    """Return the metrics that objectives may judge: by name where they are, otherwise their names."""
    return {**metrics, **custom.metrics} if isinstance(metrics, Mapping) else {*metrics, *custom.metrics}


def _contracts(folder: Path, documents: dict[str, Document]) -> tuple[dict[Dataset, Contract], list[Problem]]:
    contracts: dict[Dataset, Contract] = {}
    problems: list[Problem] = []
    for dataset in DATASETS:
        if dataset in documents:
            document = documents[dataset]
            contract, found = read_contract(document, dataset)
            aged, more = _aged(folder, dataset, documents)
            problems += [*found, *more, *stray_problems(document)]
            if contract is not None:
                wrong = list(older_problems(Aged(document, contract), aged))
                problems += wrong
                contracts[dataset] = contract if wrong or more else _with_older(contract, aged)
    return contracts, problems


def _with_older(contract: Contract, aged: list[Aged]) -> Contract:
    """Return the contract with its older versions, which are part of what it says."""
    if not aged:
        return contract
    lines = [contract.hash, *sorted(one.contract.hash for one in aged)]
    combined = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return replace(contract, older=read_older(aged), hash=combined)


def _aged(folder: Path, dataset: Dataset, documents: dict[str, Document]) -> tuple[list[Aged], list[Problem]]:
    """Return the older documents of a dataset, and add them to the documents that were read."""
    aged: list[Aged] = []
    problems: list[Problem] = []
    for file in _yaml(folder / "older"):
        name = _OLDER.fullmatch(file.name)
        if name is None or name[1] != dataset:
            continue
        document, found = read_document(file)
        problems += found
        if document is not None:
            documents[f"older/{file.name}"] = document
            contract, found = read_contract(document, dataset)
            problems += found
            if contract is not None:
                aged.append(Aged(document, contract))
                problems += _misnamed(document, contract.version, name[2])
    return aged, problems


def _misnamed(document: Document, version: str, named: str) -> list[Problem]:
    if version == named:
        return []
    said = f"the version is {version} and the file is named {named}"
    return [document.problem(("version",), said, "give both one version")]


def _hash(documents: dict[str, Document], custom: Custom) -> str:
    hashes = {name: document.hash for name, document in documents.items()} | dict(custom.hashes)
    lines = (f"{name} {one}\n" for name, one in sorted(hashes.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
