"""What a piece of code costs: the names that notebooks import."""

from .measure.flops import flops, parameter_count
from .measure.latency import Latency, latencies, latency, slope
from .measure.memory import peak_memory
from .measure.operators import operator_times
from .measure.table import table

__all__ = [
    "Latency",
    "flops",
    "latencies",
    "latency",
    "operator_times",
    "parameter_count",
    "peak_memory",
    "slope",
    "table",
]
