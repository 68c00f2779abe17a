"""Finished runs as small folders of text, and back: for a repository, for another machine."""
