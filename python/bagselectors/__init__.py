"""Python's selectors on a bag of sockets: the same classes, methods and exceptions, at less cost.

    import bagselectors as selectors        # where a program says: import selectors
    bagselectors.install()                  # or for asyncio, socketserver, subprocess, multiprocessing as they are

One class for each mechanism of the machine, and DefaultSelector, which is on what the environment variable
SELECTORS_BACKEND names, or on the best there is. Each is a selectors.BaseSelector and keeps its contract.
"""

import selectors as _standard
from collections.abc import Iterator, Mapping
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from typing import Any

from bagselectors import _bag
from bagselectors._bag import backends

__all__ = ["EVENT_READ", "EVENT_WRITE", "BaseSelector", "SelectorKey", "DefaultSelector", "EpollBag", "UringBag",
           "PollBag", "SelectBag", "backends", "install"]


class _Keys(Mapping[Any, SelectorKey]):
    """A selector's keys by file object: live, read-only; empty once that is closed."""

    def __init__(self, selector: "_Selector") -> None:
        self._selector = selector

    def __len__(self) -> int:
        return len(self._selector._fd_to_key or ())

    def __getitem__(self, fileobj: Any) -> SelectorKey:
        keys = self._selector._fd_to_key or {}
        try:
            return keys[self._selector._fileobj_lookup(fileobj)]
        except KeyError:
            raise KeyError(f"{fileobj!r} is not registered") from None

    def __iter__(self) -> Iterator[int]:
        return iter(self._selector._fd_to_key or ())


class _Selector(_bag.Bag, BaseSelector):
    """A selector on a mechanism: its class says which."""

    _mechanism: str | None = None
    _keys: _Keys | None = None

    def __init__(self) -> None:
        super().__init__(self._mechanism)
        self._keys = _Keys(self)

    def get_map(self) -> Mapping[Any, SelectorKey] | None:
        """The keys by file object, as they are at any time; None once the selector is closed."""
        return self._keys

    def close(self) -> None:
        """Close the selector, not what is registered. May be called again."""
        super().close()
        self._keys = None


class EpollBag(_Selector):
    """On epoll(7), Linux's own."""

    _mechanism = "epoll"

    def fileno(self) -> int:
        """The descriptor of epoll itself, readable while something is ready."""
        return self._fileno()


class UringBag(_Selector):
    """On io_uring(7). OSError where the system forbids it."""

    _mechanism = "uring"


class PollBag(_Selector):
    """On poll(2), every Unix."""

    _mechanism = "poll"


class SelectBag(_Selector):
    """On select(2), without its limit of 1,024 descriptors."""

    _mechanism = "select"


class DefaultSelector(_Selector):
    """On what SELECTORS_BACKEND names, or else on the best mechanism there is."""

    def fileno(self) -> int:
        """The mechanism's own descriptor, readable while something is ready. ValueError where it has none."""
        return self._fileno()


def install() -> None:
    """Makes it the standard library's: selectors.DefaultSelector, and so asyncio's; and what socketserver, subprocess
    and multiprocessing use, which is poll there, too, for epoll refuses files. What exists already keeps its own."""
    import multiprocessing.connection
    import socketserver
    import subprocess

    _standard.DefaultSelector = DefaultSelector  # type: ignore[misc]
    for module, name in ((socketserver, "_ServerSelector"), (subprocess, "_PopenSelector"),
                         (multiprocessing.connection, "_WaitSelector")):
        setattr(module, name, PollBag)
