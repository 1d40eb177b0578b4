"""The pages of releases as plain files, for any static host: the same templates, filled once, and links between files.

places.py      which file an address becomes, and how one file leads to another
filling.py     a server's folder, made of releases that lie elsewhere
walking.py     the pages of a server, asked one after the other by their own links
building.py    the site: written beside its place, and moved there whole
"""
