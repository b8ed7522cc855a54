"""The live page of a server. Its files are in ``page``; they are HTML, CSS and JavaScript modules
without a build step, and load nothing from elsewhere.
"""
