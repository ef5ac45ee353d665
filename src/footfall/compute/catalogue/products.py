"""Server products (cores, memory and GPUs of a node): from the configuration, else derived from the machine.

Knows no database, HTTP or executor but its seam. The form of the names is that of the documented example
``[Notebook] 4vCPU, 16GB Mem``.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from footfall.config import Settings
from footfall.errors import ConfigError, InvalidFieldError
from footfall.machine.isolation import Isolation
from footfall.records import Capacity, Gpu, Product

MIN_TRAIN_CODE, MIN_DEV_CODE = 1, 4
"""Codes of the smallest products, as the documented examples use them."""
_TRAIN, _DEV, _TRAIN_GPU, _DEV_GPU = 1000, 4000, 11_000, 14_000
_MEMORY_OF_CORE_MIB = 4096
_MAX_NODES = 64


@dataclass(frozen=True, slots=True)
class Machine:
    """What runs can be given here. ``isolation``: how commands are kept apart; None when an engine decides that for itself."""

    capacity: Capacity | None = None
    gpus: tuple[Gpu, ...] = ()
    isolation: Isolation | None = None


class _ProductTable(msgspec.Struct, forbid_unknown_fields=True):
    """One ``[[products]]`` of the configuration."""

    code: int
    use: Literal["TRAIN", "DEV"]
    cores: int
    memory_mib: int
    name: str = ""
    product_code: str = ""
    node_counts: tuple[int, ...] = (1,)
    gpus: int = 0
    gpu_model: str = ""


class Products:
    """The products of a server by their code, in the order in which they are listed."""

    def __init__(self, settings: Settings, machine: Machine) -> None:
        products = list(_configured(settings.products, machine)) if settings.products else list(_of_machine(machine))
        self.all: tuple[Product, ...] = tuple(products)
        self._by_code = {product.code: product for product in products}

    def get(self, code: int) -> Product:
        """Return the product of a code.

        Raises:
            InvalidFieldError: there is none; it names those there are.
        """
        product = self._by_code.get(code)
        if product is None:
            known = ", ".join(str(each) for each in self._by_code) or "none, until the operator configures some"
            raise InvalidFieldError("gpuSvrCode", code, "choice", f"There is no server product {code}; the codes are: {known}.")
        return product


def _configured(tables: Sequence[Mapping[str, Any]], machine: Machine) -> Iterator[Product]:
    codes: set[int] = set()
    for table in tables:
        try:
            one = msgspec.convert(table, _ProductTable)
        except msgspec.ValidationError as error:
            raise ConfigError("products", f"{dict(table)}: {error}") from error
        _check_product(one, codes)
        codes.add(one.code)
        is_fake = one.gpus > 0 and any(gpu.is_fake for gpu in machine.gpus)
        shown = _model(one.gpu_model, is_fake)
        name = _marked(one.name, is_fake) or _name(one.use, one.cores, one.memory_mib, one.gpus, shown)
        code = one.product_code or _product_code(one.use, one.cores, one.memory_mib, one.gpus)
        yield Product(one.code, one.use, one.node_counts, name, code, one.cores, one.memory_mib, one.gpus, one.gpu_model)


def _check_product(one: _ProductTable, codes: set[int]) -> None:
    problem = ""
    if one.code in codes or not 0 < one.code < 1 << 31:
        problem = "a code is a whole number above 0 that no other product has"
    elif min(one.cores, one.memory_mib) < 1 or one.gpus < 0:
        problem = "cores and memory_mib are at least 1, gpus at least 0"
    elif not one.node_counts or len(set(one.node_counts)) < len(one.node_counts) or min(one.node_counts) < 1:
        problem = "node_counts are different numbers from 1"
    if problem:
        raise ConfigError("products", f"product {one.code}: {problem}")


def _of_machine(machine: Machine) -> Iterator[Product]:
    capacity = machine.capacity
    if capacity is None:
        return  # the engine behind the executor queues for itself and says nothing of its machines
    for use in ("TRAIN", "DEV"):
        smallest, others = (MIN_TRAIN_CODE, _TRAIN) if use == "TRAIN" else (MIN_DEV_CODE, _DEV)
        for cores in _doubling(capacity.n_cores):
            memory_mib = _memory_mib(cores * capacity.memory_mib // capacity.n_cores, cores * _MEMORY_OF_CORE_MIB)
            yield _product(smallest if cores == 1 else others + cores, use, capacity, Capacity(cores, memory_mib))
    models = Counter((gpu.model, gpu.is_fake) for gpu in machine.gpus)
    for use, codes in (("TRAIN", _TRAIN_GPU), ("DEV", _DEV_GPU)):
        for position, ((model, is_fake), n_of_model) in enumerate(sorted(models.items())):
            for n_gpus in _doubling(n_of_model):
                share = n_gpus / len(machine.gpus)
                need = Capacity(max(1, int(capacity.n_cores * share)), _memory_mib(int(capacity.memory_mib * share)), n_gpus)
                yield _product(codes + 100 * position + n_gpus, use, capacity, need, model, n_of_model, is_fake)


def _product(
    code: int, use: str, capacity: Capacity, need: Capacity, model: str = "", n_of_model: int = 0, is_fake: bool = False
) -> Product:
    most = min(capacity.n_cores // need.n_cores, capacity.memory_mib // need.memory_mib, _MAX_NODES)
    if need.n_gpus:
        most = min(most, n_of_model // need.n_gpus)
    counts = tuple(range(1, max(1, most) + 1)) if use == "TRAIN" else (1,)
    name = _name(use, need.n_cores, need.memory_mib, need.n_gpus, _model(model, is_fake))
    product_code = _product_code(use, need.n_cores, need.memory_mib, need.n_gpus)
    return Product(code, use, counts, name, product_code, need.n_cores, need.memory_mib, need.n_gpus, model)


def _model(model: str, is_fake: bool) -> str:
    return _marked(model or "GPU", is_fake)


def _marked(name: str, is_fake: bool) -> str:
    """Return a name that says of fake GPUs that they are."""
    return f"{name} (fake)" if name and is_fake and "fake" not in name.lower() else name


def _doubling(most: int) -> Iterator[int]:
    number = 1
    while number <= most:
        yield number
        number *= 2


def _memory_mib(fair: int, rounded_up: int | None = None) -> int:
    """Return a share of memory in whole GiB where it has that much."""
    share = max(1, fair if rounded_up is None else min(fair, rounded_up))
    return share // 1024 * 1024 or share


def _name(use: str, n_cores: int, memory_mib: int, n_gpus: int, model: str) -> str:
    kind = "Notebook" if use == "DEV" else "Train"
    gpus = f"{n_gpus} x {model or 'GPU'}, " if n_gpus else ""
    return f"[{kind}] {gpus}{n_cores}vCPU, {_memory_word(memory_mib)} Mem"


def _product_code(use: str, n_cores: int, memory_mib: int, n_gpus: int) -> str:
    gpus = f".G{n_gpus:03}" if n_gpus else ""
    return f"SVR.{use}.C{n_cores:03}.M{memory_mib >> 10:03}{gpus}"


def _memory_word(memory_mib: int) -> str:
    return f"{memory_mib >> 10}GB" if memory_mib % 1024 == 0 else f"{memory_mib}MB"
