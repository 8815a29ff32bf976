"""What ``trioqueue demo`` runs: real work, one accident, and a check of everything.

From the top down: `coordinator` tells the story; `crew` starts the worker processes and
ends them, `accident` kills one of them and sees what becomes of its messages, `worker`
is the program that each of them runs; `audit` compares every result with a direct
computation, `report` prints what came of it all, `progress` draws the bar.  `plan` is
what is to be done, `files` the work itself.
"""
