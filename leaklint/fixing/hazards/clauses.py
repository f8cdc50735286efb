"""Which classes the types of an `except` clause stand for: constants that hold tuples, and aliases, are looked up."""

from __future__ import annotations

import builtins
import sys

from leaklint.analysis.kinds import last_name, path_of
from leaklint.fixing.study import Study
from leaklint.model import code
from leaklint.model.code import Expr, Span
from leaklint.model.walk import walk

ALIASES = {
    "asyncio.TimeoutError": "builtins.TimeoutError",
    "asyncio.exceptions.TimeoutError": "builtins.TimeoutError",
    "concurrent.futures.TimeoutError": "builtins.TimeoutError",
    "builtins.IOError": "builtins.OSError",
    "builtins.EnvironmentError": "builtins.OSError",
    "os.error": "builtins.OSError",
    "select.error": "builtins.OSError",
    "socket.error": "builtins.OSError",
    "socket.timeout": "builtins.TimeoutError",
}
"""https://docs.python.org/3/library/exceptions.html (of the first three, since Python 3.11)"""
_BASES = {
    "asyncio.IncompleteReadError": "builtins.EOFError",
    "binascii.Error": "builtins.ValueError",
    "io.UnsupportedOperation": "builtins.ValueError",
    "ipaddress.AddressValueError": "builtins.ValueError",
    "json.JSONDecodeError": "builtins.ValueError",
    "json.decoder.JSONDecodeError": "builtins.ValueError",
    "shutil.Error": "builtins.OSError",
    "socket.gaierror": "builtins.OSError",
    "socket.herror": "builtins.OSError",
    "ssl.CertificateError": "builtins.ValueError",
    "ssl.SSLCertVerificationError": "builtins.ValueError",
    "ssl.SSLError": "builtins.OSError",
    "urllib.error.HTTPError": "builtins.OSError",
    "urllib.error.URLError": "builtins.OSError",
}
"""Classes of the standard library, and what others than `Exception` they are derived from:
https://docs.python.org/3/library/"""
_NOWHERE = Span(0, 0, 0, 0)
_CALLED = "anyio.get_cancelled_exc_class"
_DEEPEST = 5


def spelled_out(types: tuple[Expr, ...], study: Study, depth: int = 0) -> tuple[Expr, ...]:
    """The types of a clause, one by one: in place of tuples their items, in place of a name that a module or a class of
    the program binds once what it is bound to. What cannot be looked up stays as it is.
    """
    found: list[Expr] = []
    for each in types:
        match each:
            case code.Starred(value=value) if depth < _DEEPEST:
                found += spelled_out((value,), study, depth + 1)
            case code.Display(kind="tuple" | "list", items=items) | code.Operation(operands=items) if depth < _DEEPEST:
                found += spelled_out(items, study, depth + 1)
            case code.Global(path=path) if path not in study.program.classes and depth < _DEEPEST:
                bound = _bound(path, study)
                found += (each,) if bound is None else spelled_out((bound,), study, depth + 1)
            case _:
                found.append(each)
    return tuple(found) or types


def class_of(type_: Expr, study: Study) -> str | None:
    """The dotted path of the class that a type of a clause, once it is spelled out, is; None if that is not known."""
    path, program = path_of(type_), study.program
    if path is None or (isinstance(type_, code.Call) and path != _CALLED):
        return None
    root, _, rest = path.partition(".")
    if path in program.classes or path == _CALLED:
        return path
    if root == "builtins":
        return path if isinstance(getattr(builtins, rest, None), type) else None
    if any(module.module.partition(".")[0] == root for module in program.modules):
        return None
    return path if root in sys.stdlib_module_names or _is_named_like_a_class(last_name(type_)) else None


def bases_of(path: str, study: Study) -> set[str]:
    """A class and all known bases of it."""
    found: set[str] = set()
    for ancestor in study.program.ancestors(path):
        stands_for = spelled_out((code.Global(ancestor, ancestor, _NOWHERE),), study)[0]
        named = class_of(stands_for, study) or ancestor
        name = ALIASES.get(named, named)
        above = _BASES.get(name, name)
        found |= {name, above}
        class_ = getattr(builtins, above.removeprefix("builtins."), None) if above.startswith("builtins.") else None
        if isinstance(class_, type):
            found |= {f"builtins.{base.__name__}" for base in class_.__mro__}
    return found


def is_foreign(path: str, study: Study) -> bool:
    """Whether the bases of a class are not known: it is neither of the program nor of Python itself."""
    root = path.partition(".")[0]
    return root != "builtins" and path not in study.program.classes and root not in sys.stdlib_module_names


def _is_named_like_a_class(name: str) -> bool:
    """Constants and functions are written in one case: https://peps.python.org/pep-0008/#naming-conventions"""
    name = name.lstrip("_")
    return name[:1].isupper() and not name.isupper()


def _bound(path: str, study: Study) -> Expr | None:
    """What a name of a module or of a class is bound to, if it is bound once."""
    program = study.program
    prefix, _, name = path.rpartition(".")
    holders = program.ancestors(prefix) if prefix in program.classes else [prefix]
    scope = next((s for each in holders if (s := program.scopes.get(each)) and name in s.local_names), None)
    if scope is None or scope.kind not in ("module", "class"):
        return None
    own = [each for each in walk(scope.body, (code.Assign, code.Augment)) if _assigns(each, name, scope)]
    others = (each for each in program.mentioning(name, scope.qualname) if each is not scope)
    nodes = (node for each in others for node in walk(each.body, (code.Assign, code.Augment)))
    if any(_assigns(node, name, scope, path) for node in nodes) or _is_bound_otherwise(name, scope):
        return None
    match own:
        case [code.Assign(targets=(code.Name() | code.Global(),), value=value)]:
            return value
    return None


def _assigns(node: code.Assign | code.Augment, name: str, scope: code.Function, path: str | None = None) -> bool:
    """Whether a statement binds a name of a scope: one that stands there, or elsewhere, where the name has a path."""
    targets = node.targets if isinstance(node, code.Assign) else (node.target,)
    if scope.kind == "class" and any(isinstance(each, code.Attribute) and each.attr == name for each in targets):
        return True
    named = [each for each in walk(targets, (code.Name, code.Global)) if path is None or isinstance(each, code.Global)]
    return any(last_name(each) == name if path is None else path_of(each) == path for each in named)


def _is_bound_otherwise(name: str, scope: code.Function) -> bool:
    """Whether a scope binds a name by a loop, a `with`, a `:=` or the like."""
    for node in walk(scope.body, (code.For, code.With, code.Walrus, code.Delete)):
        match node:
            case code.For(target=target) | code.Walrus(target=target):
                targets: tuple[Expr, ...] = (target,)
            case code.With(items=items):
                targets = tuple(item.target for item in items if item.target is not None)
            case code.Delete(targets=targets):
                pass
        if any(last_name(each) == name for each in walk(targets, (code.Name, code.Global))):
            return True
    return False
