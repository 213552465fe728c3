"""What is wrong with a graph, in one line."""


class GraphError(ValueError):
    """A NIR file or graph that we cannot write, read or run exactly: node, value, limit, next step."""
