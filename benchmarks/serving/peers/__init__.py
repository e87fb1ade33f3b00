"""Measure other model servers beside ours: the same two models, the same loads, one run, one table.

`peer` says what a server is described by; each file named after a server describes one; `environments` installs them, `processes` starts and stops
them, `checking` compares their answers, `measuring` puts the loads on them, `results` keeps what came out, `report` and `plot` show it.
"""
