"""Hazards: named predicates that find what a fix would change beyond what every fix is for.

Each takes code and a `Study`, and gives the hazards it finds, none if there is nothing to fear. What it cannot follow it
takes for dangerous, and says so.
"""
