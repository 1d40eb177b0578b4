"""Work that is done shard by shard, on this machine's cores or on a Ray cluster: `engine` in params.yaml.

A shard is bytes, and its answer is bytes; the answers come in the shards' order. So neither the engine, nor how many
processes or nodes it has, nor which of them die on the way, changes a byte of what a stage writes.
"""
