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
        "The task awaits while it cleans up; a second cancellation ends that, and so does one of AnyIO, which is "
        "delivered again at every `await`."
    ),
    "foreign-cancellation": (
        "The task may end with a `CancelledError` that is not its group's: a group of AnyIO then cancels all the "
        "others and ends without an error, one of asyncio goes on as if the task had ended well."
    ),
    "raises-in-cleanup": (
        "The task raises an error of its own when it is cancelled, which would arrive in place of the cancellation."
    ),
    "swallows-cancellation": (
        "The task catches a cancellation and goes on, so who cancels it and waits may wait for ever."
    ),
    "unresolved-callee": "A function is called that cannot be followed: how it ends and cleans up is not known.",
    # -- the handlers
    "handler-stops-matching": (
        "An `except` clause, a context manager, or who reads the error of a task, here or in a caller, goes by the "
        "type of an error that would now arrive in an `ExceptionGroup`."
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
    "exit-inside": (
        "The program is ended inside of the group, which prints a traceback of that; and if no task but the function "
        "does it, the exit status is 1."
    ),
    "resource-order": (
        "A resource is closed before the tasks that use it have ended, or it is held until they have, which it was not "
        "before."
    ),
    "time-limit": "The tasks would come under a time limit that was not theirs, of this function or of a caller.",
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
        "All tasks are cancelled inside of the group, its own among them; a group whose task is cancelled like that "
        "ends in silence."
    ),
    # -- the tasks that a fix cancels and waits for
    "guessed-spawn": "What starts the task could not be resolved, and was taken for an event loop by its name.",
    "handle-of-other-kind": "What holds the handle may hold something else, too, which cannot be waited for.",
    "handle-escapes": "The handle goes to code that may keep it, or that waits for the task itself.",
    "handle-is-reused": (
        "The variable of the handle holds something else as well, so who reads it may not get the task."
    ),
    "handle-is-unused": "Nothing uses the handle after the spawn.",
    "needs-held-lock": "The task needs for its cleanup what the function that waits for it holds: neither would go on.",
    "pause-before-work": (
        "The function would pause before something that it has reached without a pause so far: others may come in "
        "between, and a cancellation would keep it from that."
    ),
    "pause-before-change": "The function would pause where others see a task that it is about to replace.",
    "return-inside": "A `return`, `break` or `continue` would leave the group from within, and wait for the tasks.",
    "never-ends": "The task runs for ever, and a group at this place would wait for it.",
    "work-is-cut": "A way out of the function left the task running; now it is cancelled there.",
    "outlasts-time-limit": "A shielded cleanup does not end with a time limit of AnyIO around it.",
    "cancelled-elsewhere": "The task is cancelled in another file, and a fix edits one.",
    "no-plain-handle": "The handle is in no variable or attribute of its own.",
    "no-plain-loop": "The tasks are cancelled in a loop over what cannot be waited for as a whole.",
    "in-expression": "The task is cancelled within a larger expression or statement.",
    # -- waits
    "not-a-coroutine": "A group, and `anyio.gather`, take coroutines only, and one of the awaitables may be none.",
    "same-coroutine-twice": "One coroutine is given twice, which `asyncio.gather` alone allows.",
    "has-option": "The call has an option that its counterpart has not.",
    "starts-later": "The tasks are started before somebody waits; the counterpart starts them when it is awaited.",
    "waits-here": "What follows runs when the tasks have ended, and no longer beside them.",
    "within-expression": "The call stands within a larger expression or statement, which does something else before.",
    "needs-newer-anyio": "The project allows releases of AnyIO that cannot do this.",
    "needs-newer-python": "The project allows releases of Python that cannot do this.",
    "not-its-own-task": "The task, or one of them, comes from elsewhere, and it is not for this function to end it.",
    "spawned-apart": "The tasks are spawned in different places: some may be running while others are not there yet.",
    "outlasts-cancellation": "When the function is cancelled, it stays until the task has ended.",
    "limit-would-not-hold": "A time limit lets the function go on without the task; to wait for that would undo it.",
    "waits-for-other-loop": "The function waits until another event loop has done the work.",
    # -- handles in a group
    "handle-lacks": "The handle is used in a way that a `TaskHandle` has no counterpart for.",
    "handle-differs": "What is asked of the handle has a counterpart that answers a little differently.",
    "task-is-renamed": "The program asks running tasks for their names, and AnyIO gives them other ones.",
    "errors-are-results": "What a task raises was given back as a result; a group raises it.",
    "cancellation-is-caught": (
        "Who awaits a cancelled task catches the `CancelledError`; the handle of a group raises another error."
    ),
    "spawned-elsewhere": "What starts the task is a function of its own, out of reach of a group here.",
    "suppressed-finding": "A comment asks that the finding, or another one of the same spawn, is left alone.",
    "unusual-spawn": "The task is spawned with options, or in a way, that a group has not.",
    "context-is-copied": "The task is given a context; in a group of AnyIO it runs in a copy of that.",
    "outlives-function": "Something beyond the function keeps the task alive, so it seems meant to outlive that.",
    "patched": (
        "A test puts something else in the place of a function of asyncio, by its name, which is not called any more, "
        "or which the new code calls, itself or in AnyIO."
    ),
    "no-task-needed": "The task is awaited where it is spawned: the coroutine could be awaited as well.",
    "joined-with-others": "The function waits for the task together with something that cannot be in the group.",
    # -- cancellations
    "unclear-intent": "Nothing tells whether the cancellation is caught on purpose.",
    "needless-handler": "The handler does nothing but forget the cancellation: it is for you to take out.",
    "cancellation-ends-it": "The function ends when it is cancelled, and what it did after that is not done any more.",
    # -- services
    "lives-between-methods": (
        "The task outlives the method that starts it; a group must be left by the task that has entered it, and who "
        "calls the methods need not be one task."
    ),
    "no-plain-service": "The class starts and ends its task in a way that is not plain to see.",
    "entered-otherwise": "Objects of the class are used without `async with`, too.",
    "body-error-grouped": "What the body of the `async with` raises arrives in an `ExceptionGroup`.",
    "failure-cancels-owner": "A task that fails cancels the body of the `async with`.",
    "needs-anyio": "What this is written with is in AnyIO alone, or in newer releases of it.",
    # -- old spellings
    "single-error-grouped": "AnyIO 4 puts a single error in an `ExceptionGroup`, too.",
    "other-result": "The call of today gives something else than the old one did.",
    "guessed-class": "Only the name of an attribute tells what the object is.",
    "no-successor": "Nothing in AnyIO 4 does the same.",
    "no-coroutine": "A method is passed on as a coroutine function, and is none any more.",
    "not-entered": "A blocking portal is kept; it is open only within a `with` statement now.",
    "exported": "The name is in `__all__`: others may import it from this file.",
    "unclear-use": "The name is used in another way than to call it, and to await or enter what it gives.",
    "unclear-arguments": "The arguments are written in a way that cannot be renamed.",
    "unclear-import": "The import holds comments, which would be lost.",
    # -- every fix
    "left-alone": "The file is not to be written: it is outside of the project, or read-only, or has changed.",
    "not-found": "Only a check finds it, which does not read the rest of the program: in view of that it is none.",
    "no-remedy": "There is no rewrite for this finding.",
    "does-not-hold": "The fix was tried: the finding was still there, or something new was found.",
    "cannot-rewrite": "The file cannot be rewritten without changing more than the fix.",
    "internal-fault": "A fault of leaklint itself, which is worth a report.",
}
"""What each hazard means, a sentence each, by name."""
