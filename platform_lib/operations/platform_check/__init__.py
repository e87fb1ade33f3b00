"""Is a running platform as it should be, from outside and inside.

Each module looks at one side; `examine_platform` asks them all.
"""
