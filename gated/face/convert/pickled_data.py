"""Reads a pickle as data: numbers, texts, lists, dictionaries and a few named objects. Runs nothing of it.

A pickle is a program: Python's own reader imports the objects that a pickle names, and calls them. This reader has a
fixed table of the operations that a state dict of PyTorch needs. It returns a call as a `Call` with its arguments. Any
other operation and any unknown name is refused. `state_dict` uses it.
"""

import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from gated.errors import ModelError

MOST_OPERATIONS = 200_000
"""Limit for the operations of one pickle. The pickles of MiniFASNet have 14,000."""


@dataclass(frozen=True, slots=True)
class Name:
    """An importable name in a pickle. It is never imported."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A call in a pickle: the name of the function, and its arguments. It is never made."""

    function: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Persistent:
    """A reference to an object outside the pickle."""

    key: tuple[Any, ...]


class _Mark:
    """The place on the stack where the items of a list or dictionary begin."""


class PickledData:
    """One pickle. `names`: the names that it may contain."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def read(self, file: BytesIO) -> Any:
        """Read from the file up to the end of the pickle. Return its object. Raises `ModelError`."""
        try:
            for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
                if operation.name == "STOP":
                    return self._pop()
                if count >= MOST_OPERATIONS:
                    raise ModelError(f"its pickle has more than {MOST_OPERATIONS} operations")
                self._do(operation.name, argument)
        except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise ModelError("its pickle is damaged") from error
        raise ModelError("its pickle has no end")

    def _do(self, operation: str, argument: Any) -> None:
        if operation in VALUES:
            self._stack.append(argument)
        elif operation in CONSTANTS:
            self._stack.append(CONSTANTS[operation]())
        elif operation in TUPLES:
            self._stack.append(tuple(self._pop_last(TUPLES[operation])))
        elif operation in OPERATIONS:
            OPERATIONS[operation](self, argument)
        else:
            raise ModelError(f"its pickle has the operation {operation}, which no state dict needs")

    def _pop(self) -> Any:
        return self._stack.pop()

    def _pop_last(self, count: int) -> list[Any]:
        """Remove the last items from the stack and return them."""
        return [self._pop() for _ in range(count)][::-1]

    def _marked(self) -> list[Any]:
        """Remove the items after the last mark, and the mark. Return the items."""
        items: list[Any] = []
        while not isinstance(item := self._pop(), _Mark):
            items.append(item)
        return items[::-1]

    def _import(self, argument: str) -> None:
        name = ".".join(argument.split(" "))
        if name not in self._names:
            raise ModelError(f"its pickle names {name[:80]!r}, which no state dict needs")
        self._stack.append(Name(name))

    def _call(self, _: Any) -> None:
        function, arguments = self._pop_last(2)
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise ModelError("its pickle calls an object without a name")
        is_dictionary = function.name == "collections.OrderedDict" and not arguments
        self._stack.append({} if is_dictionary else Call(function.name, arguments))

    def _refer(self, _: Any) -> None:
        key = self._pop()
        if not isinstance(key, tuple):
            raise ModelError("its pickle has an external reference that is no storage")
        self._stack.append(Persistent(key))

    def _set(self, items: list[Any]) -> None:
        into = self._stack[-1]
        if not isinstance(into, dict) or len(items) % 2:
            raise ModelError("its pickle sets an item of an object that is no dictionary")
        into.update(zip(items[::2], items[1::2], strict=True))

    def _extend(self, _: Any) -> None:
        items = self._marked()
        if not isinstance(self._stack[-1], list):
            raise ModelError("its pickle extends an object that is no list")
        self._stack[-1].extend(items)

    def _remember(self, place: int) -> None:
        self._memo[place] = self._stack[-1]


VALUES = frozenset({"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1"})
"""Operations that put their argument on the stack."""
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": _Mark,
}
"""Operations that put a new object on the stack."""
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
OPERATIONS: dict[str, Callable[[PickledData, Any], object]] = {
    "PROTO": lambda data, version: None,
    "TUPLE": lambda data, _: data._stack.append(tuple(data._marked())),
    "GLOBAL": PickledData._import,
    "REDUCE": PickledData._call,
    "BINPERSID": PickledData._refer,
    "SETITEM": lambda data, _: data._set(data._pop_last(2)),
    "SETITEMS": lambda data, _: data._set(data._marked()),
    "APPENDS": PickledData._extend,
    "BUILD": lambda data, _: data._stack.pop(),  # attributes of an object
    "BINPUT": PickledData._remember,
    "LONG_BINPUT": PickledData._remember,
    "BINGET": lambda data, place: data._stack.append(data._memo[place]),
    "LONG_BINGET": lambda data, place: data._stack.append(data._memo[place]),
}
"""Operations that change the stack."""
