"""Seeing: the graph of a recorded function as a picture, and where the time and the memory of eager code go."""

from tapejit.viz.picture import Picture, graph
from tapejit.viz.profiling import Profile, profile

__all__ = ["Picture", "Profile", "graph", "profile"]
