"""What code costs: latency, FLOPs, memory, operators. Notebooks import it as `shared.profiling`."""
