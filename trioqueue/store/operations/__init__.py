"""Every state change of a message, once, with no I/O: generators that yield queries.

Start with `core`.  `post`, `claim`, `attempts` and `cancel` are the verbs; `settle` is
the one place where an attempt's end is written; `queues`, `read`, `dead_letters` and
`upkeep` are the rest.  `rows` turns what queries return into records.
"""
