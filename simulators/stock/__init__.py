"""Runs NIR files written by anybody: all primitives of nir 1.0.8, nested and recurrent graphs."""

from simulators.stock.errors import StockGraphError
from simulators.stock.run import StockResult, simulate_nir
from simulators.stock.tally import StockCount

__all__ = ["StockCount", "StockGraphError", "StockResult", "simulate_nir"]
