"""lava-dl network files: a sequential part of a graph out, a sequential network in."""

from exporters.lava_dl.errors import LavaDlError
from exporters.lava_dl.form import Net, form
from exporters.lava_dl.select import select
from exporters.lava_dl.write import facts, net_inputs, write_net

__all__ = ["LavaDlError", "Net", "facts", "form", "net_inputs", "select", "write_net"]
