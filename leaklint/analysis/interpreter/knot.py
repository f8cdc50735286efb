"""The knot of the interpreter: expressions run functions, functions evaluate expressions."""

from __future__ import annotations

from leaklint.analysis.interpreter.evaluate import evaluate, wait
from leaklint.analysis.interpreter.flow import run_block, run_function
from leaklint.analysis.interpreter.frame import Frame
from leaklint.analysis.interpreter.state import Exits, Flow, Result, State, Trail, Waiter
from leaklint.model.code import Block, Expr, Span


class Interpreter:
    """Implements `leaklint.analysis.interpreter.frame.Engine`."""

    def evaluate(self, expr: Expr, state: State, trail: Trail, frame: Frame, *, consumed: bool = False) -> list[Result]:
        return evaluate(expr, state, trail, frame, consumed=consumed)

    def wait(self, waiter: Waiter, point: Result, span: Span, frame: Frame) -> list[Result]:
        return wait(waiter, point, span, frame)

    def run_block(self, block: Block, flow: Flow, frame: Frame) -> Flow:
        return run_block(block, flow, frame)

    def run_function(self, frame: Frame, state: State, trail: Trail) -> Exits:
        return run_function(frame, state, trail)
