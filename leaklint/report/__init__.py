"""Reporters: from outcomes to text, for people and for machines. They print nothing."""
