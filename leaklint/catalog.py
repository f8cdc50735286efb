"""What asyncio, AnyIO, trio and others do with a task: data, each row with the page that says so.

Keys are canonical dotted names (see `leaklint.syntax.names`). A test imports the libraries that are small enough to
install and checks that every row exists.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Role(Enum):
    """What a call means for the tasks it is given or makes."""

    SPAWN = "starts a task and returns its handle"
    LOOP = "an event loop: a type, or a function that returns one"
    GROUP = "a task group: a type, or a function that returns one"
    GATHER = "awaited: waits for all its arguments, fails with the first that fails"
    WAIT = "awaited: waits for its tasks without raising or cancelling"
    WAIT_FOR = "awaited: waits for its argument, cancels it and waits again on time-out"
    SHIELD = "awaited: waits for its argument, but a cancellation leaves that running"
    AS_COMPLETED = "iterated: gives its arguments one by one as they end"
    RUN = "runs its argument to its end"
    TIMEOUT = "a context manager that cancels its body at a time-out and raises"
    MOVE_ON = "a context manager that cancels its body at a time-out and goes on"
    ALL_TASKS = "returns every task that has not ended"
    COROUTINE = "a decorator that makes a coroutine function out of a generator: its `yield` is an await"
    COLLECT = "returns a container or iterator over what its arguments hold"
    PICK = "returns one of what its arguments hold"
    SAME = "returns its last argument"
    STACK = "an exit stack"
    SUPPRESS = "a context manager that swallows the named exceptions"
    DEFER = "runs a callable at some later time and ignores what it returns"
    PARTIAL = "a callable that calls its first argument with the others"
    FIXTURE = "a decorator whose generator is always resumed, whatever the test did"
    CONTEXT_MANAGER = "a decorator that makes a context manager out of a generator"
    LEAVES = "raises, always"
    ENDS = "ends the process at once"
    HARMLESS = "neither keeps a task nor can sensibly fail"


class Entry(NamedTuple):
    role: Role
    doc: str


_TASK = "https://docs.python.org/3/library/asyncio-task.html"
_LOOP = "https://docs.python.org/3/library/asyncio-eventloop.html"
_SYNC = "https://docs.python.org/3/library/asyncio-sync.html"
_QUEUE = "https://docs.python.org/3/library/asyncio-queue.html"
_FUTURE = "https://docs.python.org/3/library/asyncio-future.html"
_ANYIO = "https://anyio.readthedocs.io/en/stable/api.html"
_TRIO = "https://trio.readthedocs.io/en/stable/reference-core.html"
_BUILTINS = "https://docs.python.org/3/library/functions.html"
_ITERTOOLS = "https://docs.python.org/3/library/itertools.html"
_CONTEXTLIB = "https://docs.python.org/3/library/contextlib.html"
_TIME = "https://docs.python.org/3/library/time.html"
_COLLECTIONS = "https://docs.python.org/3/library/collections.html"


def _rows(role: Role, doc: str, names: str) -> dict[str, Entry]:
    return {name: Entry(role, doc) for name in names.split()}


CATALOG: dict[str, Entry] = {
    **_rows(Role.SPAWN, _TASK, "asyncio.create_task asyncio.Task"),
    **_rows(Role.SPAWN, _FUTURE, "asyncio.ensure_future"),
    **_rows(Role.LOOP, _LOOP, "asyncio.get_event_loop asyncio.get_running_loop asyncio.new_event_loop"),
    **_rows(Role.LOOP, _LOOP, "asyncio.AbstractEventLoop asyncio.BaseEventLoop asyncio.SelectorEventLoop"),
    **_rows(Role.LOOP, "https://uvloop.readthedocs.io/", "uvloop.Loop uvloop.new_event_loop"),
    **_rows(Role.GROUP, _TASK, "asyncio.TaskGroup"),
    **_rows(Role.GROUP, _ANYIO, "anyio.create_task_group anyio.abc.TaskGroup"),
    **_rows(Role.GROUP, _TRIO, "trio.open_nursery trio.Nursery"),
    **_rows(Role.GROUP, "https://aiotools.readthedocs.io/", "aiotools.TaskGroup aiotools.PersistentTaskGroup"),
    **_rows(Role.GROUP, "https://asyncer.tiangolo.com/", "asyncer.create_task_group asyncer.TaskGroup"),
    **_rows(Role.GROUP, "https://pypi.org/project/quattro/", "quattro.TaskGroup quattro.create_task_group"),
    **_rows(Role.GROUP, "https://pypi.org/project/taskgroup/", "taskgroup.TaskGroup"),
    **_rows(Role.GATHER, _TASK, "asyncio.gather"),
    **_rows(Role.WAIT, _TASK, "asyncio.wait"),
    **_rows(Role.WAIT_FOR, _TASK, "asyncio.wait_for"),
    **_rows(Role.SHIELD, _TASK, "asyncio.shield"),
    **_rows(Role.AS_COMPLETED, _TASK, "asyncio.as_completed"),
    **_rows(Role.RUN, "https://docs.python.org/3/library/asyncio-runner.html", "asyncio.run"),
    **_rows(
        Role.COLLECT,
        _BUILTINS,
        "builtins.list builtins.tuple builtins.set builtins.frozenset builtins.dict builtins.sorted builtins.reversed "
        "builtins.iter builtins.enumerate builtins.zip builtins.filter builtins.map",
    ),
    **_rows(
        Role.COLLECT, _ITERTOOLS, "itertools.chain itertools.islice itertools.cycle itertools.tee itertools.groupby"
    ),
    **_rows(Role.COLLECT, _COLLECTIONS, "collections.deque collections.OrderedDict"),
    **_rows(Role.PICK, _BUILTINS, "builtins.next builtins.min builtins.max"),
    **_rows(Role.SAME, "https://docs.python.org/3/library/typing.html", "typing.cast typing_extensions.cast"),
    **_rows(Role.STACK, _CONTEXTLIB, "contextlib.AsyncExitStack contextlib.ExitStack"),
    **_rows(Role.SUPPRESS, _CONTEXTLIB, "contextlib.suppress"),
    **_rows(Role.SUPPRESS, "https://docs.pytest.org/en/stable/reference/reference.html", "pytest.raises"),
    **_rows(Role.PARTIAL, "https://docs.python.org/3/library/functools.html", "functools.partial"),
    **_rows(
        Role.DEFER,
        "https://docs.python.org/3/library/atexit.html https://docs.python.org/3/library/signal.html",
        "atexit.register signal.signal",
    ),
    **_rows(
        Role.FIXTURE,
        "https://docs.pytest.org/en/stable/how-to/fixtures.html",
        "pytest.fixture pytest_asyncio.fixture pytest.yield_fixture",
    ),
    **_rows(
        Role.CONTEXT_MANAGER,
        _CONTEXTLIB,
        "contextlib.asynccontextmanager contextlib.contextmanager async_generator.asynccontextmanager",
    ),
    **_rows(
        Role.HARMLESS,
        _BUILTINS,
        "builtins.print builtins.len builtins.repr builtins.str builtins.bool builtins.id builtins.type "
        "builtins.isinstance builtins.issubclass builtins.hasattr builtins.callable builtins.range builtins.object "
        "builtins.bytes builtins.bytearray builtins.float builtins.int builtins.any builtins.all builtins.sum "
        "builtins.hash builtins.format builtins.super builtins.property builtins.getattr "
        "builtins.vars builtins.dir builtins.abs builtins.round builtins.slice",
    ),
    **_rows(
        Role.HARMLESS,
        "https://docs.python.org/3/library/exceptions.html",
        "builtins.Exception builtins.ValueError builtins.TypeError builtins.RuntimeError builtins.KeyError "
        "builtins.TimeoutError builtins.OSError builtins.ConnectionError builtins.StopAsyncIteration "
        "builtins.StopIteration builtins.NotImplementedError builtins.BaseException asyncio.CancelledError "
        "asyncio.TimeoutError asyncio.InvalidStateError",
    ),
    **_rows(Role.HARMLESS, _SYNC, "asyncio.Event asyncio.Lock asyncio.Semaphore asyncio.BoundedSemaphore"),
    **_rows(Role.HARMLESS, _SYNC, "asyncio.Condition"),
    **_rows(Role.HARMLESS, _QUEUE, "asyncio.Queue asyncio.LifoQueue asyncio.PriorityQueue"),
    **_rows(Role.HARMLESS, _FUTURE, "asyncio.Future asyncio.isfuture"),
    **_rows(Role.HARMLESS, _TASK, "asyncio.current_task asyncio.iscoroutine asyncio.sleep"),
    **_rows(Role.ALL_TASKS, _TASK, "asyncio.all_tasks"),
    **_rows(Role.TIMEOUT, _TASK, "asyncio.timeout asyncio.timeout_at"),
    **_rows(Role.TIMEOUT, "https://pypi.org/project/async-timeout/", "async_timeout.timeout async_timeout.timeout_at"),
    **_rows(Role.TIMEOUT, _ANYIO, "anyio.fail_after"),
    **_rows(Role.TIMEOUT, _TRIO, "trio.fail_after trio.fail_at"),
    **_rows(Role.MOVE_ON, _ANYIO, "anyio.move_on_after"),
    **_rows(Role.MOVE_ON, _TRIO, "trio.move_on_after trio.move_on_at"),
    **_rows(Role.COROUTINE, "https://www.tornadoweb.org/en/stable/gen.html", "tornado.gen.coroutine"),
    **_rows(Role.COROUTINE, "https://docs.python.org/3/library/types.html#types.coroutine", "types.coroutine"),
    **_rows(Role.HARMLESS, _TIME, "time.time time.monotonic time.perf_counter time.time_ns time.monotonic_ns"),
    **_rows(Role.HARMLESS, "https://docs.python.org/3/library/inspect.html", "inspect.isawaitable"),
    **_rows(Role.HARMLESS, "https://docs.python.org/3/library/weakref.html", "weakref.ref weakref.proxy"),
    **_rows(Role.HARMLESS, _COLLECTIONS, "collections.defaultdict collections.Counter"),
    **_rows(Role.HARMLESS, _ANYIO, "anyio.Event anyio.Lock anyio.current_time anyio.CancelScope"),
    **_rows(Role.HARMLESS, _TRIO, "trio.Event trio.Lock trio.current_time trio.CancelScope"),
    **_rows(Role.HARMLESS, "https://docs.python.org/3/library/logging.html", "logging.getLogger"),
    **_rows(
        Role.HARMLESS,
        "https://docs.python.org/3/library/os.html https://docs.python.org/3/library/os.path.html",
        "os.getpid os.getenv os.environ.get os.path.join os.path.basename os.path.dirname os.path.splitext "
        "os.path.exists os.path.isfile os.path.isdir",
    ),
    **_rows(Role.HARMLESS, "https://docs.python.org/3/library/uuid.html", "uuid.uuid1 uuid.uuid4"),
    **_rows(Role.HARMLESS, "https://docs.python.org/3/library/random.html", "random.random random.uniform"),
    **_rows(
        Role.HARMLESS,
        "https://docs.python.org/3/library/datetime.html",
        "datetime.datetime.now datetime.datetime.utcnow",
    ),
    **_rows(
        Role.HARMLESS,
        "https://docs.python.org/3/library/threading.html",
        "threading.get_ident threading.current_thread",
    ),
    **_rows(Role.HARMLESS, "https://docs.python.org/3/library/sys.html", "sys.exc_info"),
    **_rows(
        Role.HARMLESS, "https://docs.python.org/3/library/traceback.html", "traceback.format_exc traceback.print_exc"
    ),
    **_rows(Role.HARMLESS, _CONTEXTLIB, "contextlib.nullcontext"),
    **_rows(Role.LEAVES, "https://docs.python.org/3/library/sys.html#sys.exit", "sys.exit builtins.exit builtins.quit"),
    **_rows(Role.ENDS, "https://docs.python.org/3/library/os.html#os._exit", "os._exit os.abort"),
}

# -- methods -------------------------------------------------------------------------------------------------------

LOOP_SPAWNS = frozenset({"create_task"})
"""Methods of an event loop that start a task."""

GROUP_SPAWNS = frozenset({"create_task", "start_soon", "start", "spawn", "soonify"})
"""Methods of a task group or nursery that start a task in it. https://anyio.readthedocs.io/en/stable/tasks.html"""

GROUP_ONLY_SPAWNS = frozenset({"start_soon"})
"""Method names that nothing but a task group or nursery has."""

SPAWN_LIKE = frozenset({"create_task", "ensure_future"})
"""Names that look like a spawn whatever they are called on; the others are not listed when they are none."""

LOOP_RUNS = frozenset({"run_until_complete"})
LOOP_DEFERS = frozenset({"call_soon", "call_later", "call_at", "call_soon_threadsafe", "add_signal_handler"})
LOOP_SOON = frozenset({"call_soon", "call_soon_threadsafe"})

LOGGING = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "trace", "success"})
"""Method names of loggers, which neither keep what they are given nor can sensibly fail."""

ADDING = frozenset({"add", "append", "appendleft", "put_nowait", "put", "extend", "update", "insert", "push"})
REMOVING = frozenset({"remove", "discard"})
EMPTYING = frozenset({"clear"})
POPPING = frozenset({"pop", "popleft", "popitem"})
PICKING = frozenset({"get", "__getitem__", "get_nowait"})
VIEWING = frozenset({"values", "items", "copy", "keys", "union", "difference", "intersection", "__iter__"})
"""What the methods of the builtin containers do with their elements.
https://docs.python.org/3/library/stdtypes.html"""

HARMLESS_METHODS = (
    frozenset(
        """is_set set clear done cancelled cancelling uncancel time is_running is_closed locked empty full qsize
    startswith endswith strip lstrip rstrip split rsplit join format encode decode lower upper replace count index
    sort reverse isoformat total_seconds get_name set_name get_loop release notify notify_all add_done_callback
    remove_done_callback setdefault cancel set_result set_exception stop get_event_loop get_running_loop
    difference_update intersection_update bit_length is_alive is_closing get_extra_info isdisjoint issubset
    create_task ensure_future start_soon create_future
    reset expired reschedule when items keys values copy as_posix partition rpartition title casefold isdigit""".split()
    )
    | LOGGING
    | ADDING
    | REMOVING
    | POPPING
    | PICKING
    | VIEWING
)
"""Methods of builtin containers, strings, loggers and asyncio objects that cannot sensibly fail."""

CONTAINER_TYPES = frozenset(
    """builtins.list builtins.set builtins.dict builtins.tuple builtins.frozenset collections.deque
    collections.defaultdict collections.OrderedDict weakref.WeakSet weakref.WeakValueDictionary""".split()
)

SETTING = frozenset({"set", "set_result"})
"""Methods of events and futures that let those go on who wait for them."""

ALTERING = ADDING | REMOVING | EMPTYING | POPPING
"""Methods that change a container."""

EXPLORING = frozenset({"isdisjoint", "issubset", "issuperset", "index", "count", "__contains__"})
"""Methods that ask a container about what they are given."""

SPAWN_WORDS = (b"create_task", b"ensure_future", b"start_soon", b"open_nursery", b"Task(", b"Task as ")
"""A file without any of these holds no spawn."""
