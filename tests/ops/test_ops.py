"""The files in docs/ops are valid for the programs that use them."""

import http.client
import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.docs.pages import fenced
from tests.web.conftest import TOKEN, Web

from tallymark.cli import cli
from tallymark.server.ports import is_free, some_free_port
from tallymark.settings import Settings

ROOT = Path(__file__).parents[2]
OPS = ROOT / "docs" / "ops"
OPERATIONS = (OPS.parent / "operations.md").read_text(encoding="utf-8")


def program(name: str, package: str) -> str:
    """Find a program, or skip the test."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"NOT TESTED: files for {name}, which is not installed; on Debian: apt-get install {package}")
    return found


def test_systemd_takes_the_units_and_finds_them_hardened(tmp_path: Path) -> None:
    """The units name the command at its path on this machine."""
    analyze = program("systemd-analyze", "systemd")
    here = Path(sys.executable).with_name("tallymark")
    units = sorted(OPS.glob("tallymark*.service")) + sorted(OPS.glob("tallymark*.timer"))
    assert len(units) == 4
    for unit in units:
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/tallymark/bin/tallymark", str(here)))
    done = subprocess.run(
        [analyze, "verify", "--man=no", *(str(tmp_path / unit.name) for unit in units)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if "tallymark" in line] == []
    for unit in units[:3]:
        told = subprocess.run(
            [analyze, "security", "--offline=true", "--no-pager", "--threshold=40", str(tmp_path / unit.name)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == 0, told.stdout[-300:] + told.stderr


def env_of(name: str) -> dict[str, str]:
    """Read an example of an environment file, as systemd and `docker run --env-file` do."""
    lines = [line for line in (OPS / name).read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Z_]+=[^\s'\"]*", line) for line in lines), "both programs read these alike"
    return dict(line.split("=", 1) for line in lines)


def named_files() -> dict[str, str]:
    """Return the environment files that the units name, and one unit that names each."""
    found = {}
    for unit in OPS.glob("*.service"):
        for path in re.findall(r"^EnvironmentFile=(.*)$", unit.read_text(), re.MULTILINE):
            assert path.startswith("/etc/tallymark/"), unit
            found[path.removeprefix("/etc/tallymark/")] = unit.name
    return found


def test_each_environment_file_that_a_unit_names_has_an_example() -> None:
    """And there is no example that no unit names."""
    assert set(named_files()) == {path.name for path in OPS.glob("*.env")} == {"web.env", "upkeep.env"}


@pytest.mark.parametrize("name", ["web.env", "upkeep.env"])
def test_the_examples_hold_settings_that_there_are(name: str) -> None:
    """With values that are taken, and with the user that the page makes for it."""
    values = env_of(name)
    settings = Settings.from_env(values)
    assert set(values) <= {row.name for row in settings.rows()}
    user = {"web.env": "tallymark_web", "upkeep.env": "tallymark_upkeep"}[name]
    assert conninfo_to_dict(values["DATABASE_URL"])["user"] == user
    assert f"CREATE ROLE {user} LOGIN" in OPERATIONS


def test_the_examples_open_nothing_before_they_are_filled_in() -> None:
    """A token that everybody can read here would be a token for everybody."""
    assert env_of("web.env")["CRAWLER_API_TOKEN"] == env_of("web.env")["TALLYMARK_SECRET_KEY"] == ""


def test_the_files_are_installed_as_the_page_says(tmp_path: Path) -> None:
    """Its commands, on another directory: secrets are made, and only the owner can read them."""
    program("openssl", "openssl")
    block = next(block for block in fenced(OPERATIONS, "") if "install -d" in block)
    commands = [line for line in block.splitlines() if line.startswith(("install", "sed"))]
    assert len(commands) == 3
    script = "\n".join(commands).replace("/etc/tallymark", str(tmp_path / "etc"))
    subprocess.run(["/bin/sh", "-euc", script], cwd=OPS.parents[1], check=True)
    for name in named_files():
        assert (tmp_path / "etc" / name).stat().st_mode & 0o777 == 0o600
    text = (tmp_path / "etc" / "web.env").read_text()
    made = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    settings = Settings.from_env(made)
    assert len(settings.crawler_api_tokens[0]) == len(settings.secret_key) == 64
    assert settings.crawler_api_tokens[0] != settings.secret_key


def test_each_unit_calls_a_command_with_options_that_it_has() -> None:
    """Click reads the line of each unit, and calls nothing."""
    for unit in OPS.glob("*.service"):
        (line,) = re.findall(r"^ExecStart=/opt/tallymark/bin/tallymark (.*)$", unit.read_text(), re.MULTILINE)
        name, *arguments = shlex.split(line)
        command = cli.get_command(None, name)  # type: ignore[arg-type]  # no context is needed
        assert command is not None
        command.make_context(name, arguments)


def test_the_image_can_be_built_from_what_the_ignore_file_lets_through(tmp_path: Path) -> None:
    """The wheel of that context is the wheel of the checkout; neither secrets nor tests are in it."""
    context = tmp_path / "context"
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert patterns[0] == "*"
    kept = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    dropped = [pattern for pattern in patterns[1:] if not pattern.startswith("!")]
    for name in kept:
        source = ROOT / name
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=_ignored(dropped))
        else:
            shutil.copy(source, context / name)
    copied = {str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()}
    assert not [name for name in copied if "node_modules" in name or "__pycache__" in name or name.endswith(".env")]
    recipe = (OPS / "Containerfile").read_text()
    assert "COPY . ." in recipe
    assert "requirements.lock" in recipe
    assert {"requirements.lock", "pyproject.toml", "README.md", "docs/openapi.json"} <= copied
    shipped = {
        str(path.relative_to(ROOT))
        for part in ("pyapp/tallymark", "sql/migrations", "sql/functions", "sql/views")
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "static" not in path.parts
    }
    assert shipped <= copied
    assert {"pyapp/dashboard/build.py", "pyapp/dashboard/package-lock.json"} <= copied


def _ignored(patterns: list[str]) -> Callable[[str, list[str]], set[str]]:
    """Return what `shutil.copytree` leaves out: paths from the root, and names that are left out everywhere."""
    everywhere = {pattern.removeprefix("**/") for pattern in patterns if pattern.startswith("**/")}

    def ignore(directory: str, names: list[str]) -> set[str]:
        here = Path(directory).relative_to(ROOT)
        return {name for name in names if name in everywhere or str(here / name) in patterns}

    return ignore


def test_docker_builds_the_image(tmp_path: Path) -> None:
    """Where there is Docker with a daemon, and the base image is there."""
    docker = program("docker", "docker.io")
    base = re.findall(r"^FROM (\S+) AS build", (OPS / "Containerfile").read_text(), re.MULTILINE)[0]
    found = subprocess.run([docker, "image", "inspect", base], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"NOT TESTED: building the image, since Docker has no daemon here, or no {base}")
    name = f"tallymark-test-{tmp_path.name}"
    command = [docker, "build", "--quiet", "-f", str(OPS / "Containerfile"), "-t", name, str(ROOT)]
    subprocess.run(command, check=True)
    try:
        subprocess.run([docker, "run", "--rm", name, "--version"], check=True)
    finally:
        subprocess.run([docker, "image", "rm", name], check=False)


def test_prometheus_takes_the_rules() -> None:
    """Each expression is valid."""
    promtool = program("promtool", "prometheus")
    done = subprocess.run([promtool, "check", "rules", OPS / "prometheus-alerts.yml"], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nginx_passes_on_reports_and_streams(db_url: str, tmp_path: Path) -> None:
    """Over TLS, with the sender's address; the first message of a stream comes at once."""
    nginx = program("nginx", "nginx-light")
    openssl = program("openssl", "openssl")
    web = Web(db_url, tmp_path / "web.log", {"TALLYMARK_TRUSTED_PROXIES": "1"})
    port = some_free_port("127.0.0.1")
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1")
    names = ("-subj", "/CN=localhost", "-keyout", str(tmp_path / "tls.key"), "-out", str(tmp_path / "tls.crt"))
    subprocess.run([openssl, *made, *names], check=True, capture_output=True)
    server = (OPS / "nginx.conf").read_text()
    for there, here in {
        "127.0.0.1:8000": f"127.0.0.1:{web.port}",
        "listen 8443": f"listen 127.0.0.1:{port}",
        "/etc/tallymark": str(tmp_path),
    }.items():
        assert there in server
        server = server.replace(there, here)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")
        + f"events {{}}\nhttp {{ access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/p;\n"
        + f"fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n{server}\n}}\n"
    )
    process = subprocess.Popen(
        [nginx, "-e", str(tmp_path / "error.log"), "-c", str(tmp_path / "nginx.conf")], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while is_free("127.0.0.1", port):
            assert process.poll() is None, (tmp_path / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        web.register("job")
        trusted = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
        trusted.check_hostname = False
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=trusted)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        update = {"taskId": "job", "status": "processing", "timestamp": "2025-01-06T19:15:30Z", "processedItems": 7}
        for number in range(2):
            body = json.dumps({**update, "updateId": str(number)})
            connection.request("POST", "/api/internal/jobs/progress", body, headers)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["seq"]) == (200, number + 1)
        connection.request("GET", "/events?job=job&after=0", headers={**headers, "Accept": "text/event-stream"})
        stream = connection.getresponse()
        assert stream.status == 200
        lines = iter(stream.readline, b"")
        assert b'"processedItems": 7' in next(line for line in lines if line.startswith(b"data:"))
        connection.close()
    finally:
        process.terminate()
        process.wait()
        web.stop()
