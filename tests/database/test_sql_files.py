"""The folder of a SQL file says what its function is for and what it may call; the READMEs have a line for each."""

import re
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

SQL = Path(__file__).parents[2] / "sql"
FILES = {path.stem.partition("_")[2]: path for path in sorted((SQL / "functions").rglob("*.sql"))}
FOLDERS = sorted({path.parent.name for path in FILES.values()})

#: Which folders the functions of a folder may call, beside their own.
ALLOWED = {
    "0_validate": set[str](),
    "1_state": {"0_validate"},
    "2_write": {"0_validate", "1_state"},
    "3_http": {"0_validate", "2_write"},
    "4_read": {"0_validate", "1_state"},
    "5_maintain": {"0_validate", "1_state", "4_read"},
    "6_diagnose": {"0_validate", "1_state", "4_read"},
}
#: Calls that the table does not allow, each with its reason.
EXCEPTIONS = {
    ("create_job", "get_job"): "registering answers with the job as readers get it",
    ("request_command", "get_job"): "a command is answered with the job as readers get it",
    **{
        (name, "keep_shards"): "it reads rows of jobs, and then writes some: see keep_shards"
        for name in ("prune_job", "delete_job", "raise_alerts", "claim_alert_messages", "fail_alert_message")
    },
}
#: Folders whose functions change nothing. PostgreSQL enforces that for functions declared STABLE or IMMUTABLE.
CHANGE_NOTHING = {"0_validate", "1_state", "4_read", "6_diagnose"}
#: Functions in them with varying results: an update without updateId and timestamp gets a random key.
DRAW_RANDOM_KEYS = {"update_key", "judge_update", "judge_batch"}
#: Private functions that no other calls, and the module that does, as a superuser.
BY_SUPERUSERS = {"plan_growth": SQL.parent / "pyapp" / "tallymark" / "schema" / "kept_plans.py"}


def code(path: Path) -> str:
    """Return the definition of a function without comments and string literals, whose names are not calls."""
    definition = path.read_text(encoding="utf-8").partition("\nCOMMENT ON FUNCTION ")[0]
    return re.sub(r"--[^\n]*|'(?:[^']|'')*'", " ", definition)


def calls(name: str) -> set[str]:
    """Return the names of our functions that a function calls."""
    body = re.split(r"\$\$|\nRETURN ", code(FILES[name]), maxsplit=1)[1]
    return {called for called in re.findall(r"tallymark\.(\w+)\s*\(", body) if called in FILES}


def folder(name: str) -> str:
    """Return the folder of a function."""
    return FILES[name].parent.name


@pytest.mark.parametrize("where", FOLDERS)
def test_the_readme_of_a_folder_names_each_of_its_files(where: str) -> None:
    """A line each, in the order of their numbers, and no line for a file that does not exist."""
    readme = (SQL / "functions" / where / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^- `(\w+)`: \S.*[^.]\.$", readme, flags=re.MULTILINE)
    assert named == [name for name in FILES if folder(name) == where]
    assert len(named) == readme.count("\n- ")
    assert readme.startswith(f"# {where}\n")


def test_the_readme_above_names_each_folder() -> None:
    """And the other files beside them."""
    readme = (SQL / "README.md").read_text(encoding="utf-8")
    for where in FOLDERS:
        assert f"`{where}`" in readme
    for entry in SQL.iterdir():
        assert entry.name == "README.md" or entry.suffix == ".py" or f"`{entry.name}" in readme, entry


def test_the_number_of_a_file_fits_its_folder() -> None:
    """Its first digit is the folder's, except that the diagnosis has 5. Every number is unique."""
    for path in FILES.values():
        assert path.name[0] == {"6_diagnose": "5"}.get(path.parent.name, path.parent.name[0]), path
    numbers = sorted(path.name[:3] for path in FILES.values())
    assert all(one < other for one, other in pairwise(numbers))


def test_what_a_function_calls_is_where_it_may_call() -> None:
    """Every call between folders is in the table or a named exception, and every named exception is needed."""
    assert sorted(ALLOWED) == FOLDERS
    found = {(name, called) for name in FILES for called in calls(name)}
    beyond = {
        (name, called)
        for name, called in found
        if folder(called) != folder(name) and folder(called) not in ALLOWED[folder(name)]
    }
    assert beyond == set(EXCEPTIONS)
    edges = {(folder(name), folder(called)) for name, called in found - beyond}
    assert edges >= {(where, other) for where, others in ALLOWED.items() for other in others}, (
        "the table allows too much"
    )


def test_no_call_leads_back_to_where_it_began() -> None:
    """The calls of functions form no cycles, and no function calls itself."""
    TopologicalSorter({name: calls(name) for name in FILES}).prepare()


def test_every_private_function_is_called() -> None:
    """A function that only its owner may execute is called by another function, or by a command for superusers."""
    called = {other for name in FILES for other in calls(name)}
    private = {name for name, path in FILES.items() if "\nGRANT EXECUTE" not in path.read_text(encoding="utf-8")}
    assert private - called == BY_SUPERUSERS.keys()
    for name, caller in BY_SUPERUSERS.items():
        assert f"tallymark.{name}()" in caller.read_text(encoding="utf-8")


def test_where_nothing_is_changed_functions_are_declared_so() -> None:
    """PostgreSQL lets no STABLE or IMMUTABLE function write; the exceptions are named."""
    volatile = {name for name in FILES if not re.search(r"\b(STABLE|IMMUTABLE)\b", code(FILES[name]))}
    assert {name for name in volatile if folder(name) in CHANGE_NOTHING} == DRAW_RANDOM_KEYS


def test_only_what_may_reads_tables() -> None:
    """Validation and the state's algebra depend on their arguments only."""
    reading = {name for name in FILES if re.search(r"\b(FROM|JOIN) tallymark\.\w+ AS\b", code(FILES[name]))}
    assert {name for name in reading if folder(name) in {"0_validate", "1_state"}} == {"heed_command"}


def test_each_migration_depends_on_the_one_before() -> None:
    """So there is one order, in which all are applied and, backwards, taken back."""
    names = sorted(path.stem for path in (SQL / "migrations").glob("*.sql") if not path.stem.endswith(".rollback"))
    texts = {name: (SQL / "migrations" / f"{name}.sql").read_text(encoding="utf-8") for name in names}
    depends = {name: re.findall(r"^-- depends: (.*)$", text, re.MULTILINE) for name, text in texts.items()}
    assert depends == {names[0]: []} | {name: [before] for before, name in pairwise(names)}
