"""What differs between two runs: one of a program, and one of what `leaklint fix` made of it.

Three things a fix is for, and they are no differences:

- I1: the function does not return before the tasks that it spawned have ended.
- I2: when a task fails, its siblings are cancelled, and the error reaches the function, in a group.
- I3: nothing is left running.

Everything that a run may do by these is one of the predicates below. Where no task fails, nothing is raised and nobody
is cancelled, none of them holds but I1: what is told, when, and what is returned is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from generative.running import CLOSED, OPENING, Ending, Failure, Trace

CAUGHT = "caught"
"""With which begins what a handler tells."""
GROUP = "unhandled errors in a TaskGroup"
"""With which begins the text of a group of errors."""
CALLERS = ("main", "outer")
"""Who awaits the function that is mended."""
UNENDING = ("never ends", "waits for ever", "spins")


class Kind(str, Enum):
    """How runs differ."""

    HANGS = "hangs"
    """It does not end any more."""
    ENDS = "ends"
    """It ends now."""
    EXIT = "exit"
    """The program does not exit any more, or with another status."""
    RESULT = "result"
    """It returns something else."""
    TYPE = "type"
    """It returns the same, but of other types."""
    ERROR = "error"
    """Another error reaches the caller, or one where there was none, or none where there was one."""
    CANCELLATION = "cancellation"
    """It is cancelled where it was not, or the other way round."""
    LEFT = "left running"
    """Tasks are left running."""
    EARLY = "early"
    """It returns earlier."""
    LATE = "late"
    """It returns later than the last of its tasks ends, or works later."""
    COURSE = "course"
    """Something else is done, or in another order."""
    CUT = "cut"
    """A cleanup is not done to its end."""


@dataclass(frozen=True, slots=True)
class Difference:
    kind: Kind
    text: str

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.text}"


Alone = Mapping[str, AbstractSet[tuple[str, ...]]]
"""By who tells it: all that may be told by a task that runs by itself, or that asyncio cancels at some moment."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs of the same program."""

    original: Trace
    rewritten: Trace
    alone: Alone
    is_timed: bool = True
    """The function that was mended is called once, and nothing else was mended: it is known when all happens."""
    is_whole: bool = True
    """No task of the program may be left running any more."""
    is_hushed: bool = False
    """Something in the program suppresses errors without a word."""
    calm: Trace | None = None
    """The original undisturbed, if the two were interrupted in different turns of the loop at the same time."""

    def differences(self) -> tuple[Difference, ...]:
        """All that is different and not meant to be."""
        old, new = self.original.ending, self.rewritten.ending
        if old.how in UNENDING:
            as_before = new.how in UNENDING or self._error_arrives() or self._error_is_handled()
            return () if as_before else (Difference(Kind.ENDS, f"{old}, now {new}"),)
        if new.how in UNENDING:
            return (Difference(Kind.HANGS, f"{old}, now {new}"),)
        if self._exits_in_time():
            return ()
        found = [self._of_ending(), self._of_time(), self._of_rest()]
        found += [self._of_course(who) for who in sorted({*self.original.events, *self.rewritten.events})]
        return tuple(each for each in found if each is not None)

    # -- allowances ------------------------------------------------------------------------------------------------

    @property
    def _is_calm(self) -> bool:
        """Nothing fails, nothing is raised, nobody is cancelled from outside: nothing may be different."""
        old = self.original
        is_quiet = not old.failures and not any(_catches(old.told(who)) for who in old.events)
        return is_quiet and old.ending.how == "returns" and self._interruption is None

    @property
    def _interruption(self) -> float | None:
        return self.original.interrupted if self.rewritten.interrupted is None else self.rewritten.interrupted

    @property
    def _unseen(self) -> tuple[Failure, ...]:
        """I2: the errors of tasks that nobody looked at, and that had come up when the new run ended."""
        return tuple(each for each in self.original.failures if not each.retrieved and each.time <= self.rewritten.time)

    def _still_waits(self) -> bool:
        """I1: it is interrupted while it waits for its tasks; it had ended before."""
        at = self.rewritten.interrupted
        return at is not None and self.original.interrupted is None and self.original.time <= at

    def _exits_in_time(self) -> bool:
        """I1: a task that was left running exits; now the program still runs then."""
        new = self.rewritten.ending
        return new.how == "exits" and new.value == self.original.later_exit

    def _error_arrives(self) -> bool:
        """I2: what reaches the caller are errors of tasks that nobody had looked at."""
        errors = self.rewritten.ending.errors
        return bool(errors) and {*errors} <= {each.error for each in self._unseen}

    def _first_error_wins(self) -> bool:
        """I2: of several errors the first, and those that came with it, reach the caller."""
        old, new = self.original, self.rewritten
        if old.ending.how != "raises" or new.ending.how != "raises":
            return False
        own = [Failure(old.time, error, retrieved=False) for error in old.ending.errors]
        met = [each for each in old.failures if not each.retrieved or each.error in old.ending.errors]
        first = min(each.time for each in (*own, *met))
        earliest = {each.error for each in (*own, *old.failures) if each.time == first}
        possible = {each.error for each in (*own, *old.failures)}
        return {*new.ending.errors} <= possible and bool(earliest & {*new.ending.errors})

    def _error_is_handled(self) -> bool:
        """I2: the error of a task that nobody had looked at arrives, and a handler that is there takes it."""
        return bool(self._unseen) and (
            self.is_hushed
            or any(
                text.startswith(CAUGHT) and text not in self.original.told(who)
                for who in self.rewritten.events
                for text in self.rewritten.told(who)
            )
        )

    def _stops_before(self) -> bool:
        """I2: a task fails before the interruption comes, or while the function still cleans up: its error wins."""
        return self._interruption is not None and (self._error_arrives() or self._error_is_handled())

    def _stops_elsewhere(self, who: str) -> bool:
        """A group lets others run when it is left: it can be interrupted there, too, and then cleans up as it did."""
        if self.calm is None:
            return False
        calm = self.calm.told(who)
        if who in CALLERS:
            return _is_part(self.rewritten.told(who), calm)
        new = self.rewritten.told(who)
        return _tail(self.original.told(who), calm) == _tail(new, calm) or _only_cleans_up(new, calm)

    def _stops_in_its_own_group(self, who: str) -> bool:
        """A task that has a group of its own now can be interrupted where it leaves that."""
        new = self.rewritten.told(who)
        return not self.is_timed and any(told[: len(new)] == new for told in self.alone[who])

    def _is_interrupted_again(self) -> bool:
        """I3: it is interrupted while it waits for what it has cancelled; who does that wants it to end at once. A
        group does so when a task fails, and until Python 3.11 `wait_for` has a task of its own for what it waits for.
        """
        old, new = self.original, self.rewritten
        if sys.version_info < (3, 12) and self._error_arrives():
            return True
        return new.interrupted is not None and (self.calm is not None or new.dying <= old.left + old.dying)

    def _is_stopped_before(self, time: float) -> bool:
        """I2, I3: a task fails before, and more tasks are cancelled than were."""
        old, new = self.original, self.rewritten
        return any(failure.time < time for failure in old.failures) and new.cancelled > old.cancelled

    # -- differences -----------------------------------------------------------------------------------------------

    def _of_ending(self) -> Difference | None:
        old, new = self.original.ending, self.rewritten.ending
        if _plain(old) == _plain(new) or self._is_allowed_ending():
            return None
        return Difference(_kind(old, new), f"{old}, now {new}")

    def _is_allowed_ending(self) -> bool:
        old, new = self.original.ending.how, self.rewritten.ending.how
        if old == "exits" and new == "is cancelled":
            return self._interruption == self.original.time  # I3: the task that exits just then is cancelled, too
        if old == "exits":
            # before it could exit; or (I3) the task that exits is cancelled when another one has failed
            return (new == "raises" and self._error_arrives()) or self._is_stopped_before(self.original.time)
        if new == "exits":
            return old == "raises" and self._error_is_handled()  # and the handler, or what comes after it, exits
        if new == "is cancelled":
            return old in ("returns", "raises") and self._still_waits()
        if old == "is cancelled":
            return self._stops_before() if self._interruption is not None else self._error_arrives()
        return (old == "returns" and self._error_arrives()) or self._first_error_wins() or self._error_is_handled()

    def _of_time(self) -> Difference | None:
        """When it ends: not before it did; if all is calm, when the last of its tasks has ended."""
        old, new = self.original, self.rewritten
        if not self._is_calm:
            return None
        if new.time < old.time and new.ending.how == "returns":
            return Difference(Kind.EARLY, f"after {old.time} s, now after {new.time} s")
        last = {who: told[-1].time for who, told in old.events.items()}
        over = max([old.over, *(time for who, time in last.items() if who not in CALLERS)])
        afterwards = old.time - last.get("host", 0.0)
        if self.is_timed and new.time > over + afterwards:
            return Difference(Kind.LATE, f"all is over after {over} s, now it returns after {new.time} s")
        return None

    def _of_rest(self) -> Difference | None:
        if self.rewritten.ending.how == "exits":
            return None
        old, new = self.original, self.rewritten
        if not self.is_whole:
            # I1: who is left running waits for what it has left running; I2: it ends earlier when a task fails
            more = new.left > 2 * old.left and new.time >= old.time
            return Difference(Kind.LEFT, f"{new.left} tasks") if more else None
        if new.left or (new.dying and not self._is_interrupted_again()):
            return Difference(Kind.LEFT, f"{new.left} tasks, and {new.dying} that were cancelled")
        return None

    def _of_course(self, who: str) -> Difference | None:
        """What one task or function does."""
        old, new = self.original.told(who), self.rewritten.told(who)
        if self.rewritten.ending.how == "exits" and self.original.ending.how == "exits":
            return None
        if self._is_calm:
            return self._of_calm_course(who)
        before = self._first_disturbance()
        earlier = [each.told(who, until=before) for each in (self.original, self.rewritten)]
        if self.is_timed and who not in CALLERS and earlier[0] != earlier[1]:
            return Difference(Kind.COURSE, f"{who} does {_listed(old)}, now {_listed(new)}, before anything fails")
        if _is_cut(old, new) and who not in self.rewritten.caught_closing:
            return Difference(Kind.CUT, f"{who} does {_listed(old)}, now {_listed(new)}")
        if who in self.alone:
            possible = new == old or new in self.alone[who] or self._stops_in_its_own_group(who)
        elif self._is_free:
            # what a handler does that takes the error is its own
            done = _before_handlers(new) if self._error_is_handled() else _without_handlers(new)
            possible = _is_part(done, _without_handlers(old))
        else:
            possible = new == old or self._stops_elsewhere(who)
        return None if possible else Difference(Kind.COURSE, f"{who} does {_listed(old)}, now {_listed(new)}")

    def _of_calm_course(self, who: str) -> Difference | None:
        old, new = self.original.events.get(who, ()), self.rewritten.events.get(who, ())
        if [each.text for each in old] != [each.text for each in new]:
            if not self.is_timed and self.original.cancelled and self.rewritten.told(who) in self.alone.get(who, ()):
                return None  # I2: of a task that the program cancels, the tasks are cancelled, too
            return Difference(
                Kind.CUT if _is_cut(self.original.told(who), self.rewritten.told(who)) else Kind.COURSE,
                f"{who} does {_listed(self.original.told(who))}, now {_listed(self.rewritten.told(who))}",
            )
        if self.is_timed and who not in CALLERS and old != new:
            one, two = next((one, two) for one, two in zip(old, new, strict=True) if one != two)
            if self.original.cancelled and self._ends_at(two.time):
                return None  # I3: it waits for what it has cancelled
            moved = f"{one.text} at {one.time} s, now {two.time} s"
            return Difference(Kind.LATE, f"{who}: {moved}")
        return None

    def _ends_at(self, time: float) -> bool:
        """Whether a task does the last thing that it does then."""
        ends = (told[-1].time for who, told in self.rewritten.events.items() if who not in (*CALLERS, "host"))
        return time in ends

    @property
    def _is_free(self) -> bool:
        """I2: an error that nobody looked at arrives in the function, or one arrives before it is asked for."""
        catching = [who for who in self.original.events if _catches(self.original.told(who))]
        caught = any(who in CALLERS or _catches(self.rewritten.told(who)) for who in catching)
        return bool(self._unseen) or caught or self.original.ending.how == "raises" or self._still_waits()

    def _first_disturbance(self) -> float:
        """When the first thing happens after which runs may differ."""
        old = self.original
        times = [each.time for each in old.failures]
        times += [event.time for told in old.events.values() for event in told if event.text.startswith(CAUGHT)]
        # a time limit of a caller shows when one of them, or the function, begins to clean up
        told = [event for who in (*CALLERS, "host") for event in old.events.get(who, ())]
        times += [event.time for event in told if event.text == OPENING]
        if old.ending.how != "returns":
            times.append(old.time)
        if self._interruption is not None:
            times.append(self._interruption)
        return min(times, default=0.0)


def _plain(ending: Ending) -> tuple[str, str, frozenset[str]]:
    """An ending, in a group or not."""
    return ending.how, ending.value, frozenset(ending.errors)


def _kind(old: Ending, new: Ending) -> Kind:
    if "exits" in (old.how, new.how) or any("grouped SystemExit" in error for error in new.errors):
        return Kind.EXIT
    if "is cancelled" in (old.how, new.how):
        return Kind.CANCELLATION
    if "raises" in (old.how, new.how):
        return Kind.ERROR
    untyped = [ending.value.replace("tuple[", "list[") for ending in (old, new)]
    return Kind.TYPE if untyped[0] == untyped[1] else Kind.RESULT


def _is_cut(old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """Whether a cleanup is begun and not done, which was not so before."""
    return new.count(OPENING) > new.count(CLOSED) and old.count(OPENING) <= old.count(CLOSED)


def _without_handlers(told: tuple[str, ...]) -> tuple[str, ...]:
    """Without what is told of errors, also of those that are given as results."""
    return tuple(text for text in told if not text.startswith((CAUGHT, GROUP)))


def _tail(told: tuple[str, ...], usual: tuple[str, ...]) -> tuple[str, ...]:
    """What comes after the last thing that is as usual."""
    same = next((index for index, (one, two) in enumerate(zip(told, usual, strict=False)) if one != two), None)
    return told[min(len(told), len(usual)) if same is None else same :]


def _only_cleans_up(told: tuple[str, ...], usual: tuple[str, ...]) -> bool:
    """Whether all goes as usual up to some point, and from there on it is cleaned up and nothing else."""
    stops = range(len(usual) + 1)
    return any(told == usual[:at] + tuple(text for text in usual[at:] if text in (OPENING, CLOSED)) for at in stops)


def _catches(told: tuple[str, ...]) -> bool:
    return any(text.startswith(CAUGHT) for text in told)


def _before_handlers(told: tuple[str, ...]) -> tuple[str, ...]:
    return told[: next((index for index, text in enumerate(told) if text.startswith(CAUGHT)), len(told))]


def _is_part(few: tuple[str, ...], many: tuple[str, ...]) -> bool:
    """Whether all of the few are among the many, in their order."""
    rest = iter(many)
    return all(text in rest for text in few)


def _listed(told: tuple[str, ...]) -> str:
    return ", ".join(told) or "nothing"
