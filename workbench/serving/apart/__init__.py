"""Reading large bodies in a process of its own, so that nothing large holds up the event loop.

A parser of JSON or protobuf keeps the interpreter's lock for as long as it works: a second for
64 MB, and several such bodies at once stop every other caller, whichever thread they are read in.
"""

from workbench.serving.apart.reader import Apart
from workbench.serving.apart.work import Parsed, Work

__all__ = ["Apart", "Parsed", "Work"]
