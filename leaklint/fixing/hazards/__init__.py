"""Hazards: named predicates that find what a fix would change beyond what every fix is for.

Each takes code and a `Study`, and gives the hazards it finds, none if there is nothing to fear. What it cannot follow
it takes for dangerous, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping

EXPLAINED: Mapping[str, str] = {
    # -- the coroutines
    "may-never-end": "The task may run for ever, and who waits for it would wait for ever.",
    "cleanup-is-cut": (
        "The task awaits while it cleans up; a cancellation of AnyIO, which is delivered again at every `await`, ends "
        "that at the first one."
    ),
    "foreign-cancellation": (
        "The task may end with a `CancelledError` that is not its group's; an AnyIO group then cancels all the others "
        "and ends without an error."
    ),
    "swallows-cancellation": (
        "The task catches a cancellation and goes on, so who cancels it and waits may wait for ever."
    ),
    "unresolved-callee": "A function is called that cannot be followed: how it ends and cleans up is not known.",
    # -- the handlers
    "handler-stops-matching": (
        "An `except` clause or a context manager, here or in a caller, goes by the type of an error that would now "
        "arrive in an `ExceptionGroup`."
    ),
    "handler-around-join": (
        "An `except` clause within the group is around an `await` of a task; it would see a `TaskFailed` instead of "
        "the error, and the group raises that all the same."
    ),
    # -- the statements in the group
    "yield-inside": "A `yield` would stand inside of the group, which then is left in another task, or never.",
    "not-a-coroutine-function": "The task is spawned in a function that is not `async`, where nothing can wait.",
    "module-level": "The task is spawned while a module is imported or a class is made, where nothing can wait.",
    "stops-iteration": "A `StopIteration` or `StopAsyncIteration` would be wrapped in a group, and end no iteration.",
    "raise-inside": "An error that is raised inside of the group leaves it in an `ExceptionGroup`.",
    "exit-inside": "The program is ended inside of the group, which makes a traceback and exit status 1 of that.",
    "resource-order": (
        "A resource is closed before the tasks that use it have ended, or a lock is held until they have, which it was "
        "not before."
    ),
    "time-limit": "The tasks would come under a time limit that was not theirs.",
    "host-cleanup-is-cut": (
        "The function awaits while it cleans up inside of the group, and a task that fails would cut that."
    ),
    "catches-group-cancellation": (
        "A clause inside of the group catches cancellations; when a task fails, it would take that of the group for "
        "another."
    ),
    "failure-ends-loop": "A loop that is to go on spawns the tasks; one that fails would end it.",
    "native-cancel": "A task is cancelled inside of the group; AnyIO lets it run to its first `await` before that.",
    "task-factory": "The program sets a task factory; the tasks of AnyIO start in another order.",
    "cancels-all-tasks": (
        "The program cancels all tasks it finds; a group whose task is cancelled like that ends in silence."
    ),
}
"""What each hazard means, a sentence each, by name."""
