"""The records that the stages of `pipelines` write and the rest of `registry` reads: one home for each format."""
