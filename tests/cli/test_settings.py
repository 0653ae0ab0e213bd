"""The settings: read from the environment, shown to people."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from tallymark.settings import Settings, SettingsError, mask_password


def test_without_any_variable_every_setting_has_its_default() -> None:
    """An empty environment is a working one."""
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.crawler_api_tokens == ()
    assert settings.database_read_url is None


def test_an_empty_variable_counts_as_not_set() -> None:
    """Compose files and shells set empty variables."""
    assert Settings.from_env({"DATABASE_URL": "", "TALLYMARK_POOL_SIZE": " "}) == Settings()


def test_tokens_are_split_at_commas_and_stripped() -> None:
    """Extra spaces and commas never make an empty token, which would let everybody in."""
    assert Settings.from_env({"CRAWLER_API_TOKEN": " one, two ,,"}).crawler_api_tokens == ("one", "two")


@pytest.mark.parametrize("token", ["käse", "two words", "tab\tbed", "line\nbreak", "del\x7f"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    """It could never be used. The message does not contain it."""
    with pytest.raises(SettingsError, match="CRAWLER_API_TOKEN must be tokens of ASCII characters") as caught:
        Settings.from_env({"CRAWLER_API_TOKEN": f"good,{token}"})
    assert token not in str(caught.value)


def test_reads_go_to_the_replica_where_one_is_named() -> None:
    """DATABASE_READ_URL is DATABASE_URL unless it is set."""
    both = {"DATABASE_URL": "postgresql://main/x", "DATABASE_READ_URL": "postgresql://replica/x"}
    assert Settings.from_env(both).database_read_url == "postgresql://replica/x"
    assert Settings.from_env({"DATABASE_URL": "postgresql://main/x"}).database_read_url is None


def test_every_bad_setting_is_named_at_once() -> None:
    """One run names all of them."""
    bad = {
        "DATABASE_READ_URL": "postgresql://replica/x",
        "TALLYMARK_POOL_SIZE": "0",
        "TALLYMARK_POOL_TIMEOUT": "nan",
        "TALLYMARK_LOG_LEVEL": "loud",
        "TALLYMARK_DEBUG": "maybe",
        "TALLYMARK_URL": "127.0.0.1:8000",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(bad)
    assert [name for name in bad if name not in str(caught.value)] == []


def test_every_setting_has_a_row_with_a_meaning() -> None:
    """The table is complete, because it is made from the fields."""
    rows = Settings().rows()
    assert len(rows) == len(fields(Settings))
    assert all(row.name and row.value and row.default and row.meaning.endswith(".") for row in rows)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:secret@h:1/x", "postgresql://u:****@h:1/x"),
        ("postgresql://u@h/x", "postgresql://u@h/x"),
        ("postgresql:///x?host=/run&password=secret", "postgresql:///x?host=/run&password=****"),
        ("postgresql://u:se@cret@h/x", "postgresql://u:****@h/x"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    """It is masked wherever it stands in the URL."""
    assert mask_password(url) == shown


def test_the_command_prints_values_and_masks_secrets(tmp_path: Path) -> None:
    """`tallymark settings` can be pasted into a report."""
    done = subprocess.run(
        [sys.executable, "-c", "from tallymark.cli import main; main()", "settings"],
        env={
            "HOME": str(tmp_path),
            "CRAWLER_API_TOKEN": "hush,hush",
            "DATABASE_URL": "postgresql://u:hush@h/x",
            "TALLYMARK_WORKERS": "3",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert "hush" not in done.stdout
    lines = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if len(line.split()) > 1}
    assert lines["TALLYMARK_WORKERS"] == "3"
    assert lines["DATABASE_URL"] == "postgresql://u:****@h/x"
    assert set(lines) >= {row.name for row in Settings().rows()}
