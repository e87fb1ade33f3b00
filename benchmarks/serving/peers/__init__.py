"""Compare our model server with others: the same two models, the same loads, one run, one table.

`peer` defines how a server is described, and each file in `adapters/` describes one. `environments` installs
the servers, `processes` starts and stops them, `checking` compares their predictions, `measuring` runs the loads,
`results` stores the figures, `report` and `plot` show them.
"""
