"""The files in docs/ops are valid for the programs that use them."""

import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.web.conftest import TOKEN, Web

from tallymark.server.ports import is_free, some_free_port

OPS = Path(__file__).parents[2] / "docs" / "ops"


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
