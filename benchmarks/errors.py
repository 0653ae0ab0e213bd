"""What is raised where nothing can be measured."""


class BenchmarkError(Exception):
    """A benchmark could not be run; the message says why. A missed goal is none."""
