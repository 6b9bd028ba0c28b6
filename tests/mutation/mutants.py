"""Small wrong versions of a module: a limit moved by one, a condition turned round, an element or a step left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

_SWAPPED: dict[type, tuple[type, ...]] = {
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
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitAnd: (ast.BitOr,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
Path = tuple[tuple[str, int | None], ...]  # member names and list positions, from the module down
_LONGEST_TEXT = 40  # longer texts are patterns and explanations; a change inside them says little


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file: where, what stood there and what stands there now."""

    file: str
    line: int
    before: str
    after: str
    tree: ast.Module = field(repr=False, compare=False)
    path: Path = field(repr=False, compare=False)
    other: ast.AST = field(repr=False, compare=False)

    @property
    def key(self) -> str:
        """Names the change without its line, so that it is still known when lines move."""
        return f"{self.file}: {self.before} -> {self.after}"

    @property
    def source(self) -> str:
        """The whole wrong module."""
        wrong = deepcopy(self.tree)
        holder: ast.AST = wrong
        for name, index in self.path[:-1]:
            holder = _step(holder, name, index)
        name, index = self.path[-1]
        if index is None:
            setattr(holder, name, self.other)
        else:
            getattr(holder, name)[index] = self.other
        return ast.unparse(ast.fix_missing_locations(wrong))


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Every mutant of one module, in the order of its lines."""
    tree = ast.parse(source)
    docstrings = {
        id(n.value)
        for n in ast.walk(tree)
        if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)
    }
    found: list[Mutant] = []
    for path, node in _walk(tree, ()):
        if id(node) in docstrings:
            continue
        found += [
            _mutant(file, tree, path, node, other)
            for kind in (_operators, _values, _steps_left_out)
            for other in kind(node)
        ]
    return sorted(found, key=lambda mutant: mutant.line)


def _walk(node: ast.AST, path: Path) -> Iterator[tuple[Path, ast.AST]]:
    """Every node that runs: no annotations, decorators, imports or ``__all__``."""
    yield path, node
    for name, value in ast.iter_fields(node):
        if name in {
            "annotation",
            "returns",
            "decorator_list",
            "type_params",
            "bases",
            "ctx",
            "op",
            "ops",
        }:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else ((None, value),):
            if (
                isinstance(child, ast.AST)
                and not isinstance(child, ast.Import | ast.ImportFrom)
                and not _is_all(child)
            ):
                yield from _walk(child, (*path, (name, index)))


def _is_all(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def _operators(node: ast.AST) -> Iterator[ast.AST]:
    """Comparisons, arithmetic and logic turned round; one side of "and" and "or" left out."""
    match node:
        case ast.Compare(ops=[op]):
            for swapped in _SWAPPED.get(type(op), ()):
                yield _with(node, ops=[swapped()])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op):
            for swapped in _SWAPPED.get(type(op), ()):
                yield _with(node, op=swapped())
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case (
            ast.If(test=ast.Name() | ast.Call() | ast.Attribute() as test)
            | ast.IfExp(test=ast.Name() | ast.Call() | ast.Attribute() as test)
        ):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
    if isinstance(node, ast.BoolOp):
        for rest in _one_less(node.values):
            yield rest[0] if len(rest) == 1 else _with(node, values=rest)


def _values(node: ast.AST) -> Iterator[ast.AST]:
    """Constants changed, members of a set or tuple left out, min for max, any for all."""
    match node:
        case ast.Constant():
            yield from _constants(node)
        case (
            ast.Set(elts=[_, _, *_] as members)
            | ast.Tuple(elts=[_, _, *_] as members, ctx=ast.Load())
        ):
            if all(isinstance(e, ast.Constant | ast.Attribute | ast.Name) for e in members):
                yield from (_with(node, elts=rest) for rest in _one_less(members))
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            yield _with(node, func=ast.Name(_CALLS[name], ast.Load()))


def _steps_left_out(node: ast.AST) -> Iterator[ast.AST]:
    """A result, a filter or a statement left out."""
    match node:
        case ast.comprehension(ifs=[_, *_]):
            yield from (_with(node, ifs=rest) for rest in _one_less(node.ifs))
        case ast.Return(value=ast.expr() as value) if not (
            isinstance(value, ast.Constant) and value.value is None
        ):
            yield _with(node, value=ast.Constant(None))
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.Expr(value=ast.Yield() | ast.YieldFrom() | ast.Call()) | ast.AugAssign():
            yield ast.Pass()


def _one_less(parts: list[ast.expr]) -> Iterator[list[ast.expr]]:
    return ([*parts[:i], *parts[i + 1 :]] for i in range(len(parts)))


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    match node.value:
        case bool():
            yield ast.Constant(not node.value)
        case int():
            yield ast.Constant(node.value + 1)
        case str() if len(node.value) <= _LONGEST_TEXT:
            yield ast.Constant(node.value + "XX")


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = type(node)(
        **{name: getattr(node, name) for name in node._fields if hasattr(node, name)}
    )
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _mutant(file: str, tree: ast.Module, path: Path, node: ast.AST, other: ast.AST) -> Mutant:
    line: int = getattr(_nearest_with_line(tree, path), "lineno", 0)
    after = _missing(node, other) or _shown(other)
    if isinstance(node, ast.Constant) and len(path) > 1:
        holder: ast.AST = tree
        for name, index in path[:-1]:
            holder = _step(holder, name, index)
        after += f" in {_shown(holder)}"
    return Mutant(file, line, _shown(node), after, tree, path, other)


def _missing(node: ast.AST, other: ast.AST) -> str:
    """Which member was left out of a set or tuple, or which condition of several; "" for other changes."""
    match node, other:
        case (
            (ast.Set(elts=whole), ast.Set(elts=kept))
            | (ast.Tuple(elts=whole), ast.Tuple(elts=kept))
            | (ast.BoolOp(values=whole), ast.BoolOp(values=kept))
        ) if len(kept) < len(whole):
            return "without " + next(_shown(member) for member in whole if member not in kept)
    return ""


def _step(node: ast.AST, name: str, index: int | None) -> ast.AST:
    value = getattr(node, name)
    found: ast.AST = value if index is None else value[index]
    return found


def _nearest_with_line(tree: ast.AST, path: Path) -> ast.AST:
    found = node = tree
    for name, index in path:
        node = _step(node, name, index)
        found = node if hasattr(node, "lineno") else found
    return found


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(deepcopy(node))).split())
    return text if len(text) <= 110 else text[:107] + "..."
