"""The benchmark of a cluster: that it measures. Measured values never make a test fail."""

import os
import re

import pytest
from tests.benchmarks.test_harness import run

from .cluster import given

pytestmark = [pytest.mark.citus, pytest.mark.slow]


@pytest.mark.timeout(600)
def test_what_an_update_costs_on_each_node_is_measured() -> None:
    """Processor time of coordinator and workers, and exactly how many commands the one sends to the others."""
    done = run("--quick", "--only", "citus_merge", "citus_group_8", environ=os.environ | {"CITUS_URL": given()})
    assert done.returncode == 0, done.stderr
    assert re.search(r"^citus_merge \d+\.\d\d$", done.stdout, re.MULTILINE)
    assert re.search(r"^citus_group_8 \d+\.\d\d$", done.stdout, re.MULTILINE)
    said = " ".join(done.stdout.split())
    assert len(re.findall(r"an update takes [\d,]+ us of the coordinator and [\d,]+ us of the workers", said)) == 2
    # It runs on the node of its job, so one command is enough; a lock, an event and a row are three statements there.
    assert "for an update the coordinator sends 1 commands to workers" in said
    assert "it runs 3 statements on shards" in said
    assert "NOT MEASURED" not in said
