"""Plays all cases against a server, in the Test Anything Protocol: python -m tests.wire URL TOKEN [WORD]."""

import sys

from .suite import FailedError, Target, play, read_cases


def main() -> None:
    """Play the cases, those with a word in their names where one is given; exit 1 where one fails."""
    if len(sys.argv) not in {3, 4}:
        sys.exit(__doc__)
    target = Target(sys.argv[1], sys.argv[2])
    cases = [case for case in read_cases() if all(word in case.name for word in sys.argv[3:])]
    if not cases:
        sys.exit(f"no case has {sys.argv[3]} in its name")
    failures = 0
    sys.stdout.write(f"1..{len(cases)}\n")
    for number, case in enumerate(cases, 1):
        result, more = "ok", f" # SKIP needs {case.needs}" if case.needs else ""
        try:
            if not case.needs:
                play(case, target)
        except (FailedError, OSError) as failed:
            failures += 1
            result, more = "not ok", "\n" + "".join(f"# {line}\n" for line in str(failed).splitlines()).rstrip()
        sys.stdout.write(f"{result} {number} - {case.name.replace('#', '')}{more}\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
