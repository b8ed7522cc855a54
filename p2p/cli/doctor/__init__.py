"""The command ``p2p doctor``: what a node needs, step by step.

===========  =======================================================================
`command`    the command, its order of checks and its result
`checks`     each check, with its remedy
===========  =======================================================================
"""
