"""What may import what: the rooms of the package, as ARCHITECTURE.md draws them."""

import ast
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).parents[1] / "pyapp" / "tallymark"

#: The rooms that each room may use. Every one of these arrows is in use.
_ROOMS = {
    "functions": set(),
    "settings": set(),
    "logs": {"settings"},
    "client": set(),
    "scrapy": {"client"},
    "terminal": {"functions"},
    "schema": {"functions", "settings"},
    "watchdog": {"functions", "terminal"},
    "simulate": {"client", "terminal"},
    "web": {"functions", "settings", "logs"},
    "server": {"schema", "settings", "web"},
    "cli": {"functions", "schema", "server", "settings", "simulate", "terminal", "watchdog"},
}
_ROOMS_OF_WEB = {
    "http": set(),
    "db": set(),
    "auth": {"db", "http"},
    "telemetry": {"auth", "db", "http"},
    "routes": {"auth", "db", "http", "telemetry"},
    "live": {"auth", "db", "http", "routes"},
    "pages": {"auth", "db", "http", "routes"},
}


def test_every_room_uses_only_what_it_may() -> None:
    """Every allowed arrow is in use. Imports inside functions count; those for types alone do not."""
    used = _arrows(_PACKAGE, "tallymark")
    assert {room: used.get(room, set()) for room in _ROOMS} == _ROOMS
    assert set(used) - set(_ROOMS) <= {"__init__"}


def test_every_room_of_web_uses_only_what_it_may() -> None:
    """Only the application's factory, which puts them together, uses all of them."""
    used = _arrows(_PACKAGE / "web", "tallymark.web")
    assert {room: used.get(room, set()) for room in _ROOMS_OF_WEB} == _ROOMS_OF_WEB
    assert set(used) - set(_ROOMS_OF_WEB) <= {"__init__"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Neither directly nor through others, nor inside a room."""
    modules = {_name(path): path for path in _PACKAGE.rglob("*.py")}
    uses = {
        name: {used for used in _imports(path) if used in modules and used != name} for name, path in modules.items()
    }
    while leaves := [name for name, used in uses.items() if not used & uses.keys()]:
        for name in leaves:
            del uses[name]
    assert uses == {}


def _arrows(package: Path, prefix: str) -> dict[str, set[str]]:
    """Return which parts of a package use which others of it."""
    parts = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    arrows: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        used = {name.removeprefix(f"{prefix}.").partition(".")[0] for name in _imports(path) if name.startswith(prefix)}
        arrows.setdefault(part, set()).update(used & parts - {part})
    return arrows


def _imports(path: Path) -> Iterator[str]:
    """Yield the modules that a module imports when it runs: a name that is a module counts as that module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _is_module(inner) else node.module


def _is_module(name: str) -> bool:
    path = _PACKAGE.parent / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def _name(path: Path) -> str:
    return ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
