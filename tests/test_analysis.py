"""The analysis on facts written by hand: it needs no source text, only values."""

from __future__ import annotations

from dataclasses import replace

from leaklint.analysis import Analysis, judge
from leaklint.model import code
from leaklint.model.code import Expr, Function, Span, Stmt
from leaklint.model.facts import ModuleFacts, ModuleNames
from leaklint.model.fate import Fate, PathKind, Step, Task
from leaklint.model.walk import walk

MODULE = "shop.orders"
PATH = "there is no such file"


def at(line: int) -> Span:
    return Span(line, 5, line, 9)


def call(line: int, path: str, *args: Expr) -> code.Call:
    """A call of something imported or defined by the module, as `last(...)`."""
    return code.Call(code.Global(path, path.rpartition(".")[2], at(line)), args, (), at(line))


def spawn(line: int) -> code.Call:
    return call(line, "asyncio.create_task", call(line, f"{MODULE}.work"))


def sleep(line: int) -> Stmt:
    return evaluate(code.Await(call(line, "asyncio.sleep", code.Constant(1, at(line))), at(line)))


def evaluate(value: code.Call | code.Await) -> Stmt:
    return code.Evaluate(value, value.span)


def name(line: int, id_: str) -> code.Name:
    return code.Name(id_, at(line))


def assign(line: int, target: Expr, value: Expr) -> Stmt:
    return code.Assign((target,), value, None, at(line))


def wait(line: int, value: Expr) -> Stmt:
    return evaluate(code.Await(value, at(line)))


def words_of(body: code.Block) -> frozenset[str]:
    found: set[str] = set()
    for node in walk(body, (code.Attribute, code.Global, code.Name)):
        match node:
            case code.Attribute(attr=word) | code.Name(id=word):
                found.add(word)
            case code.Global(path=path):
                found |= {path, path.rpartition(".")[2]}
    return frozenset(found)


def function(
    qualname: str, *body: Stmt, local: str = "", params: str = "", owner: str | None = None, kind: str = "function"
) -> Function:
    """A coroutine function, or another scope, of which nothing matters but its body and its names."""
    return Function(
        qualname=qualname,
        kind=kind,
        owner=owner,
        params=tuple(code.Param(each, "positional", None, None) for each in params.split()),
        is_async=kind == "function",
        is_generator=False,
        decorators=(),
        returns=None,
        local_names=frozenset(f"{local} {params}".split()),
        free_names=frozenset(),
        words=words_of(body),
        body=body,
        span=at(1),
    )


def module(*functions: Function, classes: tuple[code.Class, ...] = ()) -> ModuleFacts:
    top = function(MODULE, kind="module", local=" ".join(each.name for each in functions))
    return ModuleFacts(
        PATH, MODULE, (top, *functions), classes, ModuleNames(MODULE, (), (), None, frozenset(), frozenset()), ()
    )


def judged(*body: Stmt, local: str = "") -> Task:
    """The one task of a function `main` with this body."""
    (task,) = judge(module(function(f"{MODULE}.main", *body, local=local)))
    return task


def test_no_spawn_no_task() -> None:
    assert judge(module(function(f"{MODULE}.main", sleep(2)))) == ()


def test_a_dropped_task() -> None:
    assert judged(evaluate(spawn(2))) == Task(
        path=PATH,
        span=at(2),
        call="create_task",
        spawned="work",
        function=f"{MODULE}.main",
        handle=None,
        owner=None,
        fate=Fate.DROPPED,
        paths=(),
        likely=False,
        evidence=(),
    )


def test_a_task_that_is_waited_for() -> None:
    task = judged(assign(2, name(2, "task"), spawn(2)), wait(3, name(3, "task")), local="task")
    assert (task.fate, task.handle) == (Fate.JOINED, "task")
    assert task.evidence == (Step(PATH, at(3), "`main` waits for it"),)


def test_a_task_that_an_exception_leaves_running() -> None:
    task = judged(assign(2, name(2, "task"), spawn(2)), sleep(3), wait(4, name(4, "task")), local="task")
    assert (task.fate, task.paths) == (Fate.HAZARD, (PathKind.EXCEPTION,))
    assert task.evidence == (Step(PATH, at(3), "an exception may leave here, the task runs on"),)


def test_a_task_that_a_branch_leaves_running() -> None:
    returns = code.If((code.Branch(name(3, "ready"), (code.Return(None, at(4)),)),), (), at(3))
    task = judged(assign(2, name(2, "task"), spawn(2)), returns, wait(5, name(5, "task")), local="task ready")
    assert (task.fate, task.paths) == (Fate.HAZARD, (PathKind.EARLY_EXIT,))
    assert task.evidence == (Step(PATH, at(4), "the function returns, the task runs on"),)


def test_a_grouped_task() -> None:
    entered = code.Item(call(2, "asyncio.TaskGroup"), name(2, "group"))
    spawned = code.Call(code.Attribute(name(3, "group"), "create_task", at(3)), (call(3, f"{MODULE}.work"),), (), at(3))
    task = judged(code.With((entered,), (evaluate(spawned),), True, at(2)), local="group")
    assert (task.fate, task.call) == (Fate.GROUPED, "group.create_task")


def client(*closing: Stmt) -> ModuleFacts:
    """A class that keeps a task in `self.task`, with a body for its `close`."""
    qualname = f"{MODULE}.Client"
    body = function(qualname, kind="class", local="start close")
    keeps = assign(2, attribute(2), spawn(2))
    start = function(f"{qualname}.start", keeps, params="self", owner=qualname)
    close = function(f"{qualname}.close", *closing, params="self", owner=qualname)
    class_ = code.Class(qualname, (), (), body, (start, close), at(1))
    return module(body, start, close, classes=(class_,))


def attribute(line: int) -> code.Attribute:
    return code.Attribute(name(line, "self"), "task", at(line))


def test_the_ends_of_an_owner() -> None:
    cancel = evaluate(code.Call(code.Attribute(attribute(6), "cancel", at(6)), (), (), at(6)))
    gather = code.Call(
        code.Global("asyncio.gather", "asyncio.gather", at(7)),
        (attribute(7),),
        (code.Keyword("return_exceptions", code.Constant(True, at(7))),),
        at(7),
    )
    tasks = [judge(client(*closing)) for closing in ((sleep(6),), (cancel,), (cancel, wait(7, gather)))]
    assert [(task.fate, task.handle, task.owner) for (task,) in tasks] == [
        (fate, "self.task", f"{MODULE}.Client") for fate in (Fate.KEPT, Fate.CANCELLED, Fate.OWNED)
    ]
    assert [(step.span.line, step.message) for step in tasks[2][0].evidence] == [
        (2, "kept in `self.task`"),
        (6, "`close` cancels it"),
        (7, "`close` waits for it"),
    ]


def test_tasks_stand_in_the_order_of_the_source_whatever_that_of_the_facts() -> None:
    functions = [function(f"{MODULE}.{name}", evaluate(spawn(line))) for name, line in (("b", 9), ("a", 3), ("c", 6))]
    assert [(task.span.line, task.function) for task in judge(module(*functions))] == [
        (3, f"{MODULE}.a"),
        (6, f"{MODULE}.c"),
        (9, f"{MODULE}.b"),
    ]


def test_a_task_that_is_returned_to_another_module() -> None:
    start = replace(function(f"{MODULE}.start", code.Return(spawn(2), at(3))), is_async=False)
    main = function("app.main", evaluate(call(5, f"{MODULE}.start")))
    helper = module(start)
    user = replace(module(), path="app", module="app", functions=(function("app", kind="module"), main))
    analysis = Analysis([helper, user])
    steps = (Step(PATH, at(3), "`start` returns it"), Step("app", at(5), "`main` receives it"))
    dropped = judged(evaluate(spawn(2)))
    assert analysis.tasks(helper) == (
        replace(dropped, function=f"{MODULE}.start", evidence=steps, cause=Step("app", at(5), "received here")),
    )
    assert analysis.tasks(user) == (
        replace(
            dropped,
            path="app",
            span=at(5),
            call="start",
            function="app.main",
            evidence=(Step(PATH, at(2), "`start` spawns it"), *steps),
        ),
    )


def test_the_same_facts_give_the_same_tasks() -> None:
    facts = client(sleep(6))
    assert judge(facts) == judge(facts)
