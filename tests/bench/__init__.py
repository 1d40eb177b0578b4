"""`make bench`: throughput, as ratios to a named peer in the same run. Each module beside this is one benchmark."""
