"""A package of its own, so that no other distribution's ``tests`` is imported in its place."""
