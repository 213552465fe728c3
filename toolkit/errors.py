"""The two ways a command ends badly, and the exit status of each."""


class SpikeportError(Exception):
    """Bad input, told in one line: object, value, limit, next step (exit status 2)."""

    exit_status = 2


class MissingComponentError(SpikeportError):
    """A needed component is not installed; the message names the command that installs it."""

    exit_status = 3
