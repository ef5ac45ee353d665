"""The process beside every node of every run, outliving the server.

Budget of a start: what runs before the command may load no more than 7 ms of modules, beside the 17 ms of ``python -I -S``
itself (minima of many starts; 6.1 ms at the last measurement). So nothing here imports json, typing, selectors, contextlib or
pathlib at the top of a module that a command needs, and TypedDicts of ``contract/nodes.py`` are imported for the type check
only. Each sub-package that is entered costs 0.2 ms. ``tests/test_architecture.py`` lists what is loaded.
"""
