"""Renders everything a run needs into a fresh private folder: inventory, variables, edge file, contexts."""
