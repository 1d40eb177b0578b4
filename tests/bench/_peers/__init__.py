"""The same work as that of our stages of data, run by other engines."""
