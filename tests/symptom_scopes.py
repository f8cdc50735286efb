"""The harm of task groups and cancel scopes that are used wrongly, seen to happen.

`symptoms` says what a case is, and how it is run.
"""

from __future__ import annotations

from symptoms import REST, Case, fresh_loop, left_running


def outcome(case: Case) -> tuple[BaseException | None, list[str]]:
    """What a case that nobody cancels ends with, and what the loop has to say after it."""
    found: list[BaseException] = []

    async def watched() -> None:
        try:
            await case()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the outcome
            found.append(error.with_traceback(None))

    with fresh_loop() as loop:
        loop.run_case(watched)
        loop.turn(REST)
        return next(iter(found), None), loop.lost


def breaks_scope(case: Case) -> bool:
    """Whether a scope fails because it is left in another task or in the wrong order, or cancels what is not inside of
    it, or is not left at all, so that something outlives the case.
    """
    return outcome(case) != (None, []) or left_running(case)


def refuses(case: Case) -> bool:
    """Whether the case is told that a group takes no more tasks."""
    return any(isinstance(error, RuntimeError) for error in _parts(outcome(case)[0]))


def _parts(error: BaseException | None) -> list[BaseException | None]:
    """The error itself, or those in it if it is a group."""
    return list(getattr(error, "exceptions", [error]))
