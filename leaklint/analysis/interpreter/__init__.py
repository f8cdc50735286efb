"""Runs a function on abstract states to follow one task along every path."""
