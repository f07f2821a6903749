"""The layout of the package: rooms, the direction of imports, and what classes use."""

import ast
import functools
import importlib
import inspect
import pkgutil
import textwrap
from pathlib import Path

import pytest

import inforeg_sk

ROOT = Path(inforeg_sk.__file__).parent
# A room imports from itself and from those before it.
ROOMS = [
    "_version",
    "utils",
    "functional",
    "data",
    "compose",
    "features",
    "datasets",
    "network",
    "methods",
    "presets",
    "training",
    "callbacks",
    "estimator",
    "classifier",
    "regressor",
    "model_selection",
    "ensemble",
    "inspection",
    "testing",
    "__main__",
]


def modules():
    """Source files of the package by their dotted name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = list(path.relative_to(ROOT.parent).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@functools.cache
def imports(name):
    """Modules of the package that a module imports when it is imported itself."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            base = [*base, *(node.module.split(".") if node.module else [])]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("inforeg_sk"):
            base = node.module.split(".")
        else:
            continue
        for alias in node.names:
            as_module = ".".join([*base, alias.name])
            found.add(as_module if as_module in MODULES else ".".join(base))
    return found - {name}


def room(name):
    return [*name.split("."), ""][1]


def test_every_module_stands_in_a_room():
    assert {room(name) for name in MODULES if name != "inforeg_sk"} == set(ROOMS)


def test_no_underscore_modules_at_the_root_but_the_version():
    named_by_python = ("__init__.py", "__main__.py")
    private = [p.name for p in ROOT.glob("_*.py") if p.name not in named_by_python]
    assert private == ["_version.py"]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "inforeg_sk"])
def test_imports_go_down_only(name):
    rank = ROOMS.index(room(name))
    upward = {other for other in imports(name) if ROOMS.index(room(other)) > rank}
    assert not upward


def test_there_is_no_circle_of_imports():
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for other in sorted(imports(name)):
                # A package's modules may import one another through it only downwards.
                if not name.startswith(f"{other}."):
                    visit(other)
            path.pop()
            done.add(name)

    for name in MODULES:
        visit(name)


def test_private_names_of_sklearn_and_skorch_are_used_in_one_module_only():
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.level:
                continue
            if (node.module or "").split(".")[0] not in ("sklearn", "skorch"):
                continue
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            private = [p for p in parts if p.startswith("_")]
            assert not private or name == "inforeg_sk.utils.compat", (name, private)


# Classes


@functools.cache
def assigned(cls):
    """Names that the source of a class assigns to `self`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and isinstance(node.ctx, ast.Store)
    }


def defined(cls):
    """Names that a class or its bases define, annotate, assign, or take in a constructor."""
    names = set(dir(cls))
    for base in cls.__mro__[:-1]:
        names |= set(vars(base)) | set(getattr(base, "__annotations__", ()))
        try:
            names |= assigned(base)
            names |= set(inspect.signature(vars(base)["__init__"]).parameters)
        except (KeyError, OSError, SyntaxError, TypeError, ValueError):
            pass
    # skorch makes these by name: module -> module_, ...
    if any(base.__module__.startswith("skorch") for base in cls.__mro__):
        names |= {"module_", "criterion_", "optimizer_", "history_", "callbacks_", "initialized_"}
    return names


def classes():
    found = {}
    for info in pkgutil.walk_packages(inforeg_sk.__path__, "inforeg_sk."):
        module = importlib.import_module(info.name)
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__.startswith("inforeg_sk"):
                found[f"{cls.__module__}.{cls.__qualname__}"] = cls
    return found


@pytest.mark.parametrize("cls", classes().values(), ids=lambda cls: cls.__qualname__)
def test_a_class_uses_only_what_it_or_its_declared_bases_define(cls):
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except OSError:  # made by a decorator or a factory
        pytest.skip("no source")
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and isinstance(node.ctx, ast.Load)
        and not node.attr.startswith("__")
    }
    assert not used - defined(cls)
