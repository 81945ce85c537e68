"""Small faults for a source file; ``mutate.py`` beside this file runs them.

A comparison moves its boundary or is negated; ``+ - * / // % ** @ & |``, ``and`` and ``or``,
``min`` and ``max``, ``any`` and ``all``, ``floor`` and ``ceil`` change places; a number
becomes one larger or smaller; a truth value or condition is negated; a quoted name changes; a
sign or ``not`` is removed; a function returns None; the first two arguments change places; a
call, a ``raise``, an update or an assignment to an attribute or item is left out.
"""

from __future__ import annotations

import ast
import sys
import types
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil"}
OPPOSITES |= {"minimum": "maximum", "maximum": "minimum", "ceil": "floor"}


def replacements(node):
    """Yield the faulty replacements of an expression or statement."""
    if isinstance(node, ast.Compare):
        for other in COMPARISONS[type(node.ops[0])]:
            yield ast.Compare(node.left, [other(), *node.ops[1:]], node.comparators)
        if len(node.ops) > 1:
            for other in COMPARISONS[type(node.ops[1])]:
                yield ast.Compare(node.left, [node.ops[0], other()], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.AugAssign):
        yield ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
        yield ast.Pass()
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from (ast.Constant(v) for v in _other_values(node.value))
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.If | ast.IfExp):
        if not isinstance(node.test, ast.Compare | ast.UnaryOp):  # those are mutated themselves
            test = ast.UnaryOp(ast.Not(), node.test)
            parts = {f: getattr(node, f) for f in ("body", "orelse")}
            yield type(node)(test=test, **parts)
    elif isinstance(node, ast.Call):
        yield from _other_calls(node)
    elif isinstance(node, ast.Raise | ast.Continue | ast.Break | ast.Delete):
        yield ast.Pass()
    elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant | ast.Yield):
        yield ast.Pass()
    elif isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Name):
        yield ast.Pass()


def _other_values(value):
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value - 1]
    return [value + "X"] if isinstance(value, str) else []


def _other_calls(node):
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in OPPOSITES:
        other = OPPOSITES[name]
        is_plain = isinstance(node.func, ast.Name)
        func = ast.Name(other, ast.Load()) if is_plain else None
        func = func or ast.Attribute(node.func.value, other, ast.Load())
        yield ast.Call(func, node.args, node.keywords)
    # where the order does not matter, nothing would change
    if len(node.args) > 1 and not name.startswith(("min", "max", "result_type")):
        first, second, *rest = node.args
        if ast.unparse(first) != ast.unparse(second):
            yield ast.Call(node.func, [second, first, *rest], node.keywords)


@dataclass
class Mutant:
    """Place in a source file and its faulty replacement."""

    parent: ast.AST
    field: str
    index: int | None  # in the field, where that is a list
    other: ast.AST
    line: int
    reached_by: range | None  # lines of which a test must reach one; None outside functions
    what: str

    @property
    def place(self) -> list:
        """Line and change, which identify the mutant."""
        return [self.line, self.what]


class Mutants(ast.NodeVisitor):
    """Visitor that lists the possible changes of a module."""

    def __init__(self, path):
        self.path, self.found, self._lines = path, [], None
        self.tree = ast.parse(_text(path))
        self.visit(self.tree)

    def generic_visit(self, node):
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "type_comment"):
                continue
            if isinstance(node, ast.Raise) or (field == "args" and _is_warning(node)):
                continue
            for k, child in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(child, ast.AST):
                    self._enter(node, field, k if isinstance(value, list) else None, child)

    def _enter(self, parent, field, k, child):
        if isinstance(child, ast.Import | ast.ImportFrom) or _is_text(parent, child):
            return
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            return
        outer = self._lines
        if isinstance(child, ast.FunctionDef):
            self._lines = range(child.body[0].lineno, child.end_lineno + 1)
        elif isinstance(child, ast.stmt) and outer is not None:
            inside = getattr(child, "body", None)
            last = inside[0].lineno - 1 if inside else child.end_lineno
            self._lines = range(child.lineno, max(last, child.lineno) + 1)
        before = ast.unparse(child)
        for other in replacements(child):
            what = f"{_short(before)} -> {_short(ast.unparse(ast.fix_missing_locations(other)))}"
            ast.copy_location(other, child)
            line = child.lineno if hasattr(child, "lineno") else parent.lineno
            self.found.append(Mutant(parent, field, k, other, line, self._lines, what))
        self.visit(child)
        self._lines = outer

    def compile(self, mutant):
        """Compile the module with one place changed, or none; the tree stays changed."""
        if mutant is not None:
            if mutant.index is None:
                setattr(mutant.parent, mutant.field, mutant.other)
            else:
                getattr(mutant.parent, mutant.field)[mutant.index] = mutant.other
        return compile(ast.fix_missing_locations(self.tree), str(self.path), "exec")


@lru_cache
def _text(path) -> str:
    """Read a source once, so that later edits of the file do no harm."""
    return Path(path).read_text()


def _is_text(parent, child) -> bool:
    is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
    in_text = isinstance(parent, ast.JoinedStr) and isinstance(child, ast.Constant)
    return is_docstring or in_text


def _is_warning(node) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn"


def _short(code) -> str:
    line = " ".join(code.split())
    return line if len(line) < 90 else line[:87] + "..."


def put_into(module, code) -> None:
    """Replace the functions and constants of an imported module by those of changed code."""
    changed = types.ModuleType(module.__name__)
    changed.__dict__.update({k: v for k, v in vars(module).items() if k.startswith("__")})
    exec(code, changed.__dict__)
    _transplant(module, vars(changed), module.__name__)


def _transplant(owner, changed, module) -> None:
    for name, new in changed.items():
        old = vars(owner).get(name)
        if isinstance(old, type) and old.__module__ == module:
            _transplant(old, vars(new), module)
            continue
        old_function, new_function = _function(old), _function(new)
        if isinstance(old_function, types.FunctionType):
            if old_function.__module__ == module:
                old_function.__code__ = new_function.__code__
                old_function.__defaults__ = new_function.__defaults__
                old_function.__kwdefaults__ = new_function.__kwdefaults__
        elif not name.startswith("__") and isinstance(old, int | float | str | tuple | dict):
            for holder in list(sys.modules.values()) if owner is sys.modules[module] else [owner]:
                if getattr(holder, "__dict__", {}).get(name) is old:
                    setattr(holder, name, new)


def _function(value):
    for inner in ("__func__", "fget", "func", "__wrapped__"):
        value = getattr(value, inner, value)
    return value
