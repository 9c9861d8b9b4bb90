"""Trials that try to make Aurora lose, double or fail something: real processes, one database."""
