"""The command ``p2p node``: a running node, its live view, and what a user types.

===========  =======================================================================
`command`    the options of the command
`run`        the loop, until a signal or the end of the input
`builtin`    the built-in protocols: echo and chat
`lineinput`  lines that a user types, or that come by a pipe
`state`      the state that is shown: peers, rates, tables, events
`view`       the drawing of a state for a terminal; pure
===========  =======================================================================
"""
