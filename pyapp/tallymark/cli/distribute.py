"""The command that distributes the database over several servers."""

import sys
from dataclasses import asdict

import click

from tallymark.cli.common import database_options, explained, json_option, print_json
from tallymark.cli.database import print_finding
from tallymark.schema.distribute import check_only, distribute as run_distribute
from tallymark.terminal.screen import Styled, say
from tallymark.terminal.text import count


@click.command()
@database_options
@click.option(
    "--shards",
    type=click.IntRange(1, 32_000),
    default=32,
    metavar="N",
    help="How many parts to divide the jobs into, the first time: two or more for each node there will ever be.",
)
@click.option("--check", "only_check", is_flag=True, help="Change nothing, only check all nodes.")
@json_option("Print what is wrong as a JSON array; steps go to standard error.")
def distribute(url: str, *, shards: int, only_check: bool, as_json: bool) -> None:
    """Distribute the database over the nodes of a Citus cluster.

    This is for databases that have outgrown one server. URL is that of the coordinator, as a superuser. Installs the
    schema, distributes tables with their data, functions, roles and rights, and checks every node. Run it again after a
    new node, instead of migrate after a new release, and after a crash in the middle. While the tables are distributed
    for the first time, updates wait.

    Exits 0 when all is well, 1 when something is wrong with a node, 2 when it could not be done.
    """
    with explained():
        found = (
            check_only(url)
            if only_check
            else run_distribute(url, shards=shards, report=lambda line: say(line, err=as_json))
        )
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            print_finding(finding)
        say(
            Styled(count(len(found), "finding"), "red")
            if found
            else Styled("All nodes are as they should be.", "green")
        )
    sys.exit(1 if found else 0)
