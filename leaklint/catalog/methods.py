"""What methods do with a task whose receiver has a known sort: a loop, a group, a container, a logger."""

from __future__ import annotations

LOOP_SPAWNS = frozenset({"create_task"})
"""Methods of an event loop that start a task."""

GROUP_SPAWNS = frozenset(
    "create_task start_soon start spawn soonify create_background_task start_task start_task_soon".split()
)
"""Methods of a task group, nursery or portal that start a task in it.
https://anyio.readthedocs.io/en/stable/tasks.html"""

OWNER_SPAWNS = GROUP_SPAWNS | frozenset("add add_coroutine add_task ensure_future run_task schedule submit".split())
"""Methods that start a task in an owner, if they are given a coroutine or a coroutine function."""

GROUP_ONLY_SPAWNS = frozenset({"start_soon"})
"""Method names that nothing but a task group or nursery has."""

LIBRARY_ONLY_SPAWNS = frozenset({"async_create_task", "async_create_background_task", "run_worker", "start_task_soon"})
"""Method names that nothing but the owners of one library have: Home Assistant, Textual, AnyIO."""

SPAWN_LIKE = frozenset({"create_task", "ensure_future"})
"""Names that look like a spawn whatever they are called on; the others are not listed when they are none."""

LOOP_RUNS = frozenset({"run_until_complete"})
CALLBACK_AT = {
    **dict.fromkeys(("call_soon", "call_soon_threadsafe"), 0),
    **dict.fromkeys(("call_later", "call_at", "add_signal_handler", "add_reader", "add_writer"), 1),
}
"""Methods of an event loop that call a function later: where that stands among the arguments.
https://docs.python.org/3/library/asyncio-eventloop.html"""
LOOP_DEFERS = frozenset(CALLBACK_AT)
CALLBACK_OF = {"signal.signal": 1, "atexit.register": 0, "weakref.finalize": 1, "weakref.ref": 1}
"""Others that do. https://docs.python.org/3/library/signal.html https://docs.python.org/3/library/atexit.html
https://docs.python.org/3/library/weakref.html"""
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

SYNCHRONISATION = frozenset(
    f"asyncio.{name}"
    for name in "Event Lock Semaphore BoundedSemaphore Condition Queue LifoQueue PriorityQueue".split()
)
"""What the coroutines of one program tell one another with; their methods cannot sensibly fail.
https://docs.python.org/3/library/asyncio-sync.html"""

TASK_METHODS = frozenset(
    """add_done_callback cancel cancelled cancelling done exception get_context get_coro get_loop get_name get_stack
    print_stack remove_done_callback result set_exception set_name set_result uncancel __await__ __iter__""".split()
)
"""What a task can be asked. https://docs.python.org/3/library/asyncio-task.html#task-object"""

SETTING = frozenset({"set", "set_result"})
"""Methods of events and futures that let those go on who wait for them."""

ALTERING = ADDING | REMOVING | EMPTYING | POPPING
"""Methods that change a container."""

EXPLORING = frozenset({"isdisjoint", "issubset", "issuperset", "index", "count", "__contains__"})
"""Methods that ask a container about what they are given."""

SPAWN_WORDS = tuple(
    word.encode()
    for word in (
        *("create_task", "ensure_future", "start_soon", "open_nursery", "Task(", "Task as "),
        *("create_background_task", "start_task", "soonify", "aiojobs", ".spawn(", "create_timer", "run_worker"),
        *("add_callback", "spawn_callback", "BackgroundTasks", "background_tasks"),
        *("tasks.loop", "ext.tasks", "@work(", "@work\n", "@work\r"),
        *("gather", "shield", "as_completed", "asyncio.wait(", "run_in_executor", "run_coroutine_threadsafe"),
        *("TaskGroup", "create_task_group", "CancelScope", "move_on_a", "fail_a", "asyncio.timeout", "async_timeout"),
    )
)
"""A file without any of these starts no task, and opens no group and no cancel scope."""
