"""The built-in suite with its recordings, and the demo: the real server, spoken to over stdio as a host does.

The recordings are answers of real models; `recordings/README.md` has the commands that made them.
"""
