"""Moves tasks of a function into a task group: what holds their handles and uses them, where the group begins and ends,
and what is written in place of each spawn and each use.
"""
