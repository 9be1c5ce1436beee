"""The guard: what stands between the network and a daemon's own code, the same for every daemon."""
