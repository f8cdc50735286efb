"""What earlier releases of AnyIO had and AnyIO 4 no longer has: data, each row with what to write today.

Compared on the releases 1.4.0, 2.2.0, 3.7.1 and 4.16.0: their public names, the signatures, and what is a coroutine.
What is only deprecated is not here.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

MIGRATION = "https://anyio.readthedocs.io/en/stable/migration.html"
HISTORY = "https://anyio.readthedocs.io/en/stable/versionhistory.html"


class Form(str, Enum):
    """How something is used that AnyIO 4 does not have in that form."""

    NAME = "name"
    """A function or class is gone, by its dotted path."""
    METHOD = "method"
    """A method or attribute of a class is gone."""
    AWAIT = "await"
    """A call is awaited that is no coroutine any more."""
    PASSED = "passed"
    """Such a method is passed on as a coroutine function."""
    ASYNC_WITH = "async-with"
    """A context manager is entered with `async with` that only `with` enters."""
    KEYWORD = "keyword"
    """An argument is gone; the last part of the path is its name."""
    BACKEND = "backend"
    """An event loop is asked for that is not supported any more."""


class Removed(NamedTuple):
    """Something that AnyIO 4 no longer has."""

    form: Form
    path: str
    """Its dotted path: `anyio.create_event`, `anyio.Event.clear`, `anyio.connect_tcp.bind_host`."""
    new: str | None
    """What takes its place, if one thing does: a dotted path, or the name of a method or argument."""
    since: str
    """The release that no longer has it."""
    advice: str
    """What to do, where `new` does not say it all."""
    page: str


def _rows(form: Form, since: str, page: str, *rows: str) -> tuple[Removed, ...]:
    """Rows of text: the old path, an arrow, the new one, and after `--` the advice."""
    found = []
    for row in rows:
        change, _, advice = row.partition(" -- ")
        old, _, new = change.partition(" -> ")
        found.append(Removed(form, old.strip(), new.strip() or None, since, advice, page))
    return tuple(found)


_TWO_ENDS = "`anyio.create_memory_object_stream(...)` gives two ends: what was put is sent, what was got is received"
_BUFFERED = "wrap the stream in `anyio.streams.buffered.BufferedByteReceiveStream`"
_SINGLE = "a task group raises one even for a single error"
_EXTRA = "ask for it by `stream.extra(anyio.abc.SocketAttribute...)`, or `anyio.streams.tls.TLSAttribute`"
_LISTENER = "accept connections with `await listener.serve(handler)`"

ROWS: tuple[Removed, ...] = (
    # -- names
    *_rows(
        Form.NAME,
        "4.0",
        MIGRATION,
        "anyio.create_event -> anyio.Event",
        "anyio.create_lock -> anyio.Lock",
        "anyio.create_condition -> anyio.Condition",
        "anyio.create_semaphore -> anyio.Semaphore",
        "anyio.create_capacity_limiter -> anyio.CapacityLimiter",
        "anyio.open_cancel_scope -> anyio.CancelScope",
        "anyio.run_sync_in_worker_thread -> anyio.to_thread.run_sync",
        "anyio.to_thread.run_sync_in_worker_thread -> anyio.to_thread.run_sync",
        "anyio.current_default_worker_thread_limiter -> anyio.to_thread.current_default_thread_limiter",
        "anyio.to_thread.current_default_worker_thread_limiter -> anyio.to_thread.current_default_thread_limiter",
        "anyio.run_async_from_thread -> anyio.from_thread.run",
        "anyio.from_thread.run_async_from_thread -> anyio.from_thread.run",
        "anyio.run_sync_from_thread -> anyio.from_thread.run_sync",
        "anyio.from_thread.run_sync_from_thread -> anyio.from_thread.run_sync",
        "anyio.start_blocking_portal -> anyio.from_thread.start_blocking_portal -- enter it with `with`",
        "anyio.create_blocking_portal -> anyio.from_thread.BlockingPortal",
        "anyio.from_thread.create_blocking_portal -> anyio.from_thread.BlockingPortal",
        "anyio.maybe_async -- nothing that it was for is awaited any more",
        "anyio.maybe_async_cm -- nothing that it was for is entered with `async with` any more",
    ),
    *_rows(
        Form.NAME,
        "4.0",
        HISTORY,
        f"anyio.ExceptionGroup -> builtins.BaseExceptionGroup -- {_SINGLE}",
    ),
    *_rows(
        Form.NAME,
        "2.0",
        HISTORY,
        "anyio.exceptions -- what it held is in `anyio` itself",
        f"anyio.exceptions.ExceptionGroup -> builtins.BaseExceptionGroup -- {_SINGLE}",
        "anyio.exceptions.ClosedResourceError -> anyio.ClosedResourceError",
        "anyio.exceptions.DelimiterNotFound -> anyio.DelimiterNotFound",
        "anyio.exceptions.IncompleteRead -> anyio.IncompleteRead",
        "anyio.exceptions.ResourceBusyError -> anyio.BusyResourceError",
        "anyio.exceptions.WouldBlock -> anyio.WouldBlock",
        "anyio.exceptions.TLSRequired -- nothing raises it any more",
        "anyio.run_in_thread -> anyio.to_thread.run_sync",
        "anyio.current_default_thread_limiter -> anyio.to_thread.current_default_thread_limiter",
        "anyio.aopen -> anyio.open_file",
        "anyio.receive_signals -> anyio.open_signal_receiver",
        "anyio.finalize -> contextlib.aclosing",
        f"anyio.create_queue -- {_TWO_ENDS}",
        f"anyio.create_tcp_server -- use `anyio.create_tcp_listener`: {_LISTENER}",
        f"anyio.create_unix_server -- use `anyio.create_unix_listener`: {_LISTENER}",
        "anyio.notify_socket_close -- use `anyio.notify_closing`, which is not awaited",
        "anyio.claim_worker_thread -- it was not meant to be called",
        "anyio.BACKENDS -- call `anyio.get_all_backends()`",
        f"anyio.abc.Queue -- {_TWO_ENDS}",
        "anyio.abc.AsyncFile -> anyio.AsyncFile",
        "anyio.abc.Stream -- use `anyio.abc.ByteStream`, which has other methods",
        "anyio.abc.SocketStreamServer -- use `anyio.abc.SocketListener`, which has other methods",
    ),
    # -- methods
    *_rows(
        Form.METHOD,
        "4.0",
        MIGRATION,
        "anyio.abc.TaskGroup.spawn -> start_soon -- it is not awaited",
        "anyio.CapacityLimiter.set_total_tokens -- assign to `total_tokens`",
        "anyio.from_thread.BlockingPortal.spawn_task -> start_task_soon",
    ),
    *_rows(
        Form.METHOD,
        "3.0",
        HISTORY,
        "anyio.from_thread.BlockingPortal.stop_from_external_thread -- write `portal.call(portal.stop)`",
    ),
    *_rows(
        Form.METHOD,
        "2.0",
        HISTORY,
        "anyio.Event.clear -- make a new `anyio.Event()`",
        "anyio.AsyncFile.close -> aclose",
        "anyio.abc.SocketStream.send_all -> send",
        "anyio.abc.SocketStream.close -> aclose",
        "anyio.abc.SocketStream.receive_some -> receive -- its end is `anyio.EndOfStream`, not `b''`",
        f"anyio.abc.SocketStream.receive_exactly -- {_BUFFERED}",
        f"anyio.abc.SocketStream.receive_until -- {_BUFFERED}",
        f"anyio.abc.SocketStream.receive_delimited_chunks -- {_BUFFERED}",
        "anyio.abc.SocketStream.receive_chunks -- iterate over the stream itself",
        "anyio.abc.SocketStream.start_tls -- use `anyio.streams.tls.TLSStream.wrap(stream)`",
        f"anyio.abc.SocketStream.getpeercert -- {_EXTRA}",
        f"anyio.abc.SocketStream.getsockopt -- {_EXTRA}",
        f"anyio.abc.SocketStream.setsockopt -- {_EXTRA}",
        "anyio.abc.UDPSocket.close -> aclose",
        "anyio.abc.UDPSocket.receive_packets -- iterate over the socket itself",
    ),
    # -- arguments
    *_rows(
        Form.KEYWORD,
        "2.0",
        HISTORY,
        "anyio.connect_tcp.address -> remote_host",
        "anyio.connect_tcp.port -> remote_port",
        "anyio.connect_tcp.bind_host -> local_host",
        "anyio.connect_tcp.bind_port -> local_port",
        "anyio.connect_tcp.autostart_tls -> tls",
        "anyio.create_udp_socket.interface -> local_host",
        "anyio.create_udp_socket.port -> local_port",
        "anyio.create_udp_socket.target_host -- use `anyio.create_connected_udp_socket`",
        "anyio.create_udp_socket.target_port -- use `anyio.create_connected_udp_socket`",
    ),
    *_rows(Form.BACKEND, "3.0", HISTORY, "anyio.run.curio -- curio is not supported any more: use asyncio or trio"),
    # -- what is not awaited any more
    *_rows(
        Form.AWAIT,
        "4.0",
        MIGRATION,
        *("anyio.current_time", "anyio.current_effective_deadline"),
        *("anyio.get_current_task", "anyio.get_running_tasks"),
        *("anyio.CancelScope.cancel", "anyio.Event.set", "anyio.Lock.release", "anyio.Semaphore.release"),
        *("anyio.Condition.release", "anyio.Condition.notify", "anyio.Condition.notify_all"),
        *("anyio.CapacityLimiter.acquire_nowait", "anyio.CapacityLimiter.acquire_on_behalf_of_nowait"),
        *("anyio.CapacityLimiter.release", "anyio.CapacityLimiter.release_on_behalf_of"),
        "anyio.streams.memory.MemoryObjectSendStream.send_nowait",
        "anyio.streams.memory.MemoryObjectReceiveStream.receive_nowait",
    ),
    *_rows(Form.ASYNC_WITH, "4.0", MIGRATION, "anyio.CancelScope", "anyio.open_signal_receiver"),
)

_BY_KEY = {(row.form, row.path): row for row in ROWS}
RENAMED_ARGUMENTS: dict[str, dict[str, str]] = {
    "anyio.create_semaphore": {"value": "initial_value"},
    "anyio.run_sync_in_worker_thread": {"cancellable": "abandon_on_cancel"},
    "anyio.to_thread.run_sync_in_worker_thread": {"cancellable": "abandon_on_cancel"},
    "anyio.run_in_thread": {"cancellable": "abandon_on_cancel"},
}
"""What the arguments of a name that is gone are called by what takes its place."""


def removed(form: Form, path: str) -> Removed | None:
    """The row about a use of something; None if AnyIO 4 has it."""
    return _BY_KEY.get((form, path))


# -- what things are ---------------------------------------------------------------------------------------------------

_SEND = "anyio.streams.memory.MemoryObjectSendStream"
_RECEIVE = "anyio.streams.memory.MemoryObjectReceiveStream"
_PORTAL = "anyio.from_thread.BlockingPortal"
_OWN = "Event Lock Condition Semaphore CapacityLimiter".split()

TYPES: dict[str, str] = {
    **{path: path for path in (_SEND, _RECEIVE)},
    **{f"anyio.{name}": f"anyio.{name}" for name in _OWN},
    "anyio.create_event": "anyio.Event",
    "anyio.create_lock": "anyio.Lock",
    "anyio.create_condition": "anyio.Condition",
    "anyio.create_semaphore": "anyio.Semaphore",
    "anyio.create_capacity_limiter": "anyio.CapacityLimiter",
    "anyio.open_cancel_scope": "anyio.CancelScope",
    "anyio.create_blocking_portal": _PORTAL,
    "anyio.from_thread.create_blocking_portal": _PORTAL,
    "anyio.start_blocking_portal": _PORTAL,
    "anyio.open_signal_receiver": "anyio.open_signal_receiver",
    "anyio.receive_signals": "anyio.open_signal_receiver",
    "anyio.aopen": "anyio.AsyncFile",
    "anyio.open_file": "anyio.AsyncFile",
    "anyio.connect_tcp": "anyio.abc.SocketStream",
    "anyio.connect_unix": "anyio.abc.SocketStream",
    "anyio.create_udp_socket": "anyio.abc.UDPSocket",
    "anyio.create_task_group.cancel_scope": "anyio.CancelScope",
    "anyio.abc.TaskGroup.cancel_scope": "anyio.CancelScope",
}
"""The class of what a call or an attribute gives. https://anyio.readthedocs.io/en/stable/api.html"""

ENDS: dict[str, tuple[str, ...]] = {"anyio.create_memory_object_stream": (_SEND, _RECEIVE)}
"""The classes of the parts of the tuple that a call gives. https://anyio.readthedocs.io/en/stable/streams.html"""

SAME: dict[str, str] = {
    **{f"anyio.abc.{name}": f"anyio.{name}" for name in [*_OWN, "CancelScope", "AsyncFile"]},
    "anyio.create_task_group": "anyio.abc.TaskGroup",
    "anyio.abc.BlockingPortal": _PORTAL,
    "anyio.from_thread.start_blocking_portal": _PORTAL,
}
"""Other names of a class, and what gives an object of it when it is entered."""

CALLS_COROUTINES = frozenset(
    """anyio.from_thread.run anyio.run_async_from_thread anyio.from_thread.run_async_from_thread
    anyio.abc.TaskGroup.spawn anyio.abc.TaskGroup.start_soon""".split()
)
"""What calls the coroutine function that it is given, and no other. https://anyio.readthedocs.io/en/stable/threads.html"""

# -- words -------------------------------------------------------------------------------------------------------------

_NAMES = {row.path.rpartition(".")[2] for row in ROWS if row.form is Form.NAME}
_METHODS = {row.path.rpartition(".")[2] for row in ROWS if row.form in (Form.METHOD, Form.AWAIT)}
_COMMON = frozenset({"Stream", "Queue", "finalize", "close", "clear"})
_WORDS = re.compile(
    rb"\b(?:%s)\b|await[ \t(]+[\w.\[\]]+\.(?:%s)\(|\.(?:clear|close)\(\)|async with [^\n]*(?:_after|signal_receiver)\("
    rb"|from_thread|\b(?:bind_host|bind_port|autostart_tls|curio|target_host|finalize|Queue)\b"
    % (
        b"|".join(sorted(name.encode() for name in _NAMES - _COMMON)),
        b"|".join(sorted(name.encode() for name in _METHODS)),
    )
)


def mentions_removed(data: bytes) -> bool:
    """Whether a file may use something of AnyIO that is gone: without this, there is nothing of it in the file."""
    return b"anyio" in data and _WORDS.search(data) is not None
