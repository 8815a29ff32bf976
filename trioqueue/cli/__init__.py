"""The ``trioqueue`` command.

`root` is the command itself and its table of subcommands, which `lazy` imports only
when they run.  `queue`, `message`, `dlq` and `worker` are subcommands; `session` gives
them their store, `output` prints what `documents` made of records, `parameters` reads
what people type, and `failures` turns errors into one line and an exit code.

Nothing here imports Trio or the store before a subcommand runs: ``--help`` is quick.
"""

from trioqueue.cli.root import main as main
