"""What the standard library does with a task."""

from __future__ import annotations

from leaklint.catalog.roles import Entry, Role, rows

_TASK = "https://docs.python.org/3/library/asyncio-task.html"
_LOOP = "https://docs.python.org/3/library/asyncio-eventloop.html"
_SYNC = "https://docs.python.org/3/library/asyncio-sync.html"
_QUEUE = "https://docs.python.org/3/library/asyncio-queue.html"
_FUTURE = "https://docs.python.org/3/library/asyncio-future.html"
_BUILTINS = "https://docs.python.org/3/library/functions.html"
_ITERTOOLS = "https://docs.python.org/3/library/itertools.html"
_CONTEXTLIB = "https://docs.python.org/3/library/contextlib.html"
_EXECUTORS = "https://docs.python.org/3/library/concurrent.futures.html"
_EXECUTOR_TYPES = [f"concurrent.futures.{name}" for name in ("Executor", "ThreadPoolExecutor", "ProcessPoolExecutor")]
_TIME = "https://docs.python.org/3/library/time.html"
_COLLECTIONS = "https://docs.python.org/3/library/collections.html"

STANDARD: dict[str, Entry] = {
    **rows(Role.SPAWN, _TASK, "asyncio.create_task asyncio.Task"),
    **rows(Role.SPAWN, _FUTURE, "asyncio.ensure_future"),
    **rows(Role.LOOP, _LOOP, "asyncio.get_event_loop asyncio.get_running_loop asyncio.new_event_loop"),
    **rows(Role.LOOP, _LOOP, "asyncio.AbstractEventLoop asyncio.BaseEventLoop asyncio.SelectorEventLoop"),
    **rows(Role.OBJECT, "https://docs.python.org/3/library/asyncio-runner.html#asyncio.Runner", "asyncio.Runner"),
    **rows(Role.GROUP, _TASK, "asyncio.TaskGroup"),
    **rows(Role.GATHER, _TASK, "asyncio.gather"),
    **rows(Role.WAIT, _TASK, "asyncio.wait"),
    **rows(Role.WAIT_FOR, _TASK, "asyncio.wait_for"),
    **rows(Role.SHIELD, _TASK, "asyncio.shield"),
    **rows(Role.AS_COMPLETED, _TASK, "asyncio.as_completed"),
    **rows(Role.THREAD, _TASK, "asyncio.run_coroutine_threadsafe"),
    **rows(Role.OBJECT, _EXECUTORS, " ".join(_EXECUTOR_TYPES)),
    **rows(Role.THREAD, _EXECUTORS, " ".join(f"{name}.submit" for name in _EXECUTOR_TYPES)),
    **rows(Role.RUN, "https://docs.python.org/3/library/asyncio-runner.html", "asyncio.run"),
    **rows(
        Role.COLLECT,
        _BUILTINS,
        "builtins.list builtins.tuple builtins.set builtins.frozenset builtins.dict builtins.sorted builtins.reversed "
        "builtins.iter builtins.enumerate builtins.zip builtins.filter builtins.map",
    ),
    **rows(
        Role.COLLECT, _ITERTOOLS, "itertools.chain itertools.islice itertools.cycle itertools.tee itertools.groupby"
    ),
    **rows(Role.COLLECT, _COLLECTIONS, "collections.deque collections.OrderedDict"),
    **rows(Role.PICK, _BUILTINS, "builtins.next builtins.min builtins.max"),
    **rows(Role.SAME, "https://docs.python.org/3/library/typing.html", "typing.cast typing_extensions.cast"),
    **rows(Role.STACK, _CONTEXTLIB, "contextlib.AsyncExitStack contextlib.ExitStack"),
    **rows(Role.SUPPRESS, _CONTEXTLIB, "contextlib.suppress"),
    **rows(Role.PARTIAL, "https://docs.python.org/3/library/functools.html", "functools.partial"),
    **rows(
        Role.DEFER,
        "https://docs.python.org/3/library/atexit.html https://docs.python.org/3/library/signal.html",
        "atexit.register signal.signal weakref.finalize",
    ),
    **rows(
        Role.CONTEXT_MANAGER,
        _CONTEXTLIB,
        "contextlib.asynccontextmanager contextlib.contextmanager",
    ),
    **rows(
        Role.HARMLESS,
        _BUILTINS,
        "builtins.print builtins.len builtins.repr builtins.str builtins.bool builtins.id builtins.type "
        "builtins.isinstance builtins.issubclass builtins.hasattr builtins.callable builtins.range builtins.object "
        "builtins.bytes builtins.bytearray builtins.float builtins.int builtins.any builtins.all builtins.sum "
        "builtins.hash builtins.format builtins.super builtins.property builtins.getattr "
        "builtins.vars builtins.dir builtins.abs builtins.round builtins.slice",
    ),
    **rows(
        Role.HARMLESS,
        "https://docs.python.org/3/library/exceptions.html",
        "builtins.Exception builtins.ValueError builtins.TypeError builtins.RuntimeError builtins.KeyError "
        "builtins.TimeoutError builtins.OSError builtins.ConnectionError builtins.StopAsyncIteration "
        "builtins.StopIteration builtins.NotImplementedError builtins.BaseException asyncio.CancelledError "
        "asyncio.TimeoutError asyncio.InvalidStateError",
    ),
    **rows(Role.HARMLESS, _SYNC, "asyncio.Event asyncio.Lock asyncio.Semaphore asyncio.BoundedSemaphore"),
    **rows(Role.HARMLESS, _SYNC, "asyncio.Condition"),
    **rows(Role.HARMLESS, _QUEUE, "asyncio.Queue asyncio.LifoQueue asyncio.PriorityQueue"),
    **rows(Role.HARMLESS, _FUTURE, "asyncio.Future asyncio.isfuture"),
    **rows(Role.HARMLESS, _TASK, "asyncio.current_task asyncio.iscoroutine asyncio.sleep"),
    **rows(Role.ALL_TASKS, _TASK, "asyncio.all_tasks"),
    **rows(Role.TIMEOUT, _TASK, "asyncio.timeout asyncio.timeout_at"),
    **rows(Role.COROUTINE, "https://docs.python.org/3/library/types.html#types.coroutine", "types.coroutine"),
    **rows(Role.HARMLESS, _TIME, "time.time time.monotonic time.perf_counter time.time_ns time.monotonic_ns"),
    **rows(Role.HARMLESS, "https://docs.python.org/3/library/inspect.html", "inspect.isawaitable"),
    **rows(Role.HARMLESS, "https://docs.python.org/3/library/weakref.html", "weakref.ref weakref.proxy"),
    **rows(Role.HARMLESS, _COLLECTIONS, "collections.defaultdict collections.Counter"),
    **rows(Role.HARMLESS, "https://docs.python.org/3/library/logging.html", "logging.getLogger"),
    **rows(
        Role.HARMLESS,
        "https://docs.python.org/3/library/os.html https://docs.python.org/3/library/os.path.html",
        "os.getpid os.getenv os.environ.get os.path.join os.path.basename os.path.dirname os.path.splitext "
        "os.path.exists os.path.isfile os.path.isdir",
    ),
    **rows(Role.HARMLESS, "https://docs.python.org/3/library/uuid.html", "uuid.uuid1 uuid.uuid4"),
    **rows(Role.HARMLESS, "https://docs.python.org/3/library/random.html", "random.random random.uniform"),
    **rows(
        Role.HARMLESS,
        "https://docs.python.org/3/library/datetime.html",
        "datetime.datetime.now datetime.datetime.utcnow",
    ),
    **rows(
        Role.HARMLESS,
        "https://docs.python.org/3/library/threading.html",
        "threading.get_ident threading.current_thread",
    ),
    **rows(Role.HARMLESS, "https://docs.python.org/3/library/sys.html", "sys.exc_info"),
    **rows(
        Role.HARMLESS, "https://docs.python.org/3/library/traceback.html", "traceback.format_exc traceback.print_exc"
    ),
    **rows(Role.HARMLESS, _CONTEXTLIB, "contextlib.nullcontext"),
    **rows(Role.LEAVES, "https://docs.python.org/3/library/sys.html#sys.exit", "sys.exit builtins.exit builtins.quit"),
    **rows(Role.ENDS, "https://docs.python.org/3/library/os.html#os._exit", "os._exit os.abort"),
}
