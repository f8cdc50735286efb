"""Errors that are the user's to mend."""


class UserError(Exception):
    """A mistake in what the user gave (paths, options, configuration): one clear line, exit code 2."""
