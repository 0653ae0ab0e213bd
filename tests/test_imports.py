"""What may import what: the packages, as ARCHITECTURE.md draws them."""

import ast
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = Path(__file__).parents[1] / "pyapp" / "tallymark"

#: The packages that each package may use; every one of these arrows is in use.
_PACKAGES = {
    "functions": set(),
    "addresses": set(),
    "plain": set(),
    "settings": set(),
    "logs": {"plain", "settings"},
    "client": set(),
    "scrapy": {"client"},
    "terminal": {"functions", "plain"},
    "schema": {"functions", "settings"},
    "watchdog": {"addresses", "functions", "plain"},
    "simulate": {"client", "plain", "terminal"},
    "web": {"addresses", "functions", "settings", "logs"},
    "server": {"functions", "schema", "settings", "web"},
    "cli": {"client", "functions", "plain", "schema", "server", "settings", "simulate", "terminal", "watchdog"},
}
_PACKAGES_OF_WEB = {
    "http": set(),
    "db": set(),
    "auth": {"db", "http"},
    "telemetry": {"auth", "db", "http"},
    "routes": {"auth", "db", "http", "telemetry"},
    "live": {"auth", "db", "http", "routes"},
    "pages": {"auth", "db", "http", "routes"},
}


def test_every_package_uses_only_what_it_may() -> None:
    """And no arrow is allowed that nobody needs; imports inside functions count, those for types alone do not."""
    used = _arrows(_PACKAGE, "tallymark")
    assert {package: used.get(package, set()) for package in _PACKAGES} == _PACKAGES
    assert set(used) - set(_PACKAGES) <= {"__init__"}


def test_every_package_of_web_uses_only_what_it_may() -> None:
    """The application's factory, which puts them together, uses all of them."""
    used = _arrows(_PACKAGE / "web", "tallymark.web")
    assert {package: used.get(package, set()) for package in _PACKAGES_OF_WEB} == _PACKAGES_OF_WEB
    assert set(used) - set(_PACKAGES_OF_WEB) <= {"__init__"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not by way of others either, and also not inside a package."""
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
