"""The command ``p2p doctor``: what a node needs, step by step.

===========  =======================================================================
`command`    the command, its order of checks and its result
`checks`     each check, with its remedy
`lan`        the check of the local network
`limits`     what limits have refused or delayed, by the metrics
`running`    the metrics of a node that runs elsewhere
`finding`    the result of a check
===========  =======================================================================
"""
