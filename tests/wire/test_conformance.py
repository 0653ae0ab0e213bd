"""Every case of the wire protocol, over HTTP; README.md says how to play them against another server."""

from collections.abc import Callable

import pytest

from .suite import Case, FailedError, Target, play, read_cases


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in read_cases()])
def test_the_server_answers_as_the_wire_protocol_has_it(target_of: Callable[[str], Target], case: Case) -> None:
    """Word for word where the words are the original's."""
    target, difference = target_of(case.needs), ""
    try:
        play(case, target)
    except FailedError as failed:
        difference = str(failed)
    if difference:
        pytest.fail(difference, pytrace=False)
