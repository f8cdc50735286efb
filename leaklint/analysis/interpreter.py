"""The knot of the interpreter: expressions run functions, functions evaluate expressions."""

from __future__ import annotations

from leaklint.analysis.evaluate import evaluate
from leaklint.analysis.flow import run_function
from leaklint.analysis.frame import Frame
from leaklint.analysis.state import Exits, Result, State, Trail
from leaklint.model.code import Expr


class Interpreter:
    """Implements `leaklint.analysis.frame.Engine`."""

    def evaluate(self, expr: Expr, state: State, trail: Trail, frame: Frame, *, consumed: bool = False) -> list[Result]:
        return evaluate(expr, state, trail, frame, consumed=consumed)

    def run_function(self, frame: Frame, state: State, trail: Trail) -> Exits:
        return run_function(frame, state, trail)
