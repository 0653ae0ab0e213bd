"""Where the SQL files are: inside the wheel, or at the top of a checkout."""

from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def sql_root() -> Path:
    """Find the directory that holds `migrations`, `functions` and `views`, in the wheel or in the checkout."""
    package = Path(str(files("tallymark")))
    for candidate in (package / "sql", package.parent.parent / "sql"):
        if (candidate / "migrations").is_dir():
            return candidate
    raise FileNotFoundError(f"the SQL files are missing: neither in {package / 'sql'} nor beside {package.parent}")


def function_files() -> list[Path]:
    """List the function files in the order in which they are installed: that of their numbers."""
    return sorted((sql_root() / "functions").rglob("*.sql"), key=lambda path: path.name)


def view_files() -> list[Path]:
    """List the view files in the order in which they are installed, after all functions."""
    return sorted((sql_root() / "views").glob("*.sql"))


def source_of(name: str) -> Path | None:
    """Find the file of a function or view by its bare name: `NAME.sql` or `NNN_NAME.sql`."""
    for path in (*function_files(), *view_files()):
        if path.stem == name or path.stem.lstrip("0123456789") == f"_{name}":
            return path
    return None
