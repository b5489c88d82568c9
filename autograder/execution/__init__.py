"""Jobs in, runs out: warm processes, a pool of this machine or a cluster, and what became of each cell."""
