"""What lava-dl cannot hold, in one line."""


class LavaDlError(ValueError):
    """A graph that netx cannot hold, or a network file that NIR cannot: object, value, limit, next step."""
