"""The room that shows: events of a run and results of verbs → terminal, CI log, JSON. Only room that knows rich.

make.py      picks the view: live.py, plain.py, github.py or jsonlines.py; a log gets the plain lines beside it
live.py      model.py (what the run looks like now, pure) → frame.py (as lines that fit, pure) → rich's Live
show.py      results and errors; kinds.py: which table for which result (plan, history, tables, …)
words.py     signs and words of all states; sentences.py: events as plain sentences; block.py: lasting lines
"""

from llmdeploy.view.make import OpenView, View, ViewMode, make_view
from llmdeploy.view.show import show_error, show_outcome

__all__ = ["OpenView", "View", "ViewMode", "make_view", "show_error", "show_outcome"]
