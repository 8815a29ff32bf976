"""The rules, as pure functions of facts and the present instant.

`lease` says when a hold ends, `retry` how long a failed message waits, `ending` what
becomes of a message when an attempt ends, `priority` in which order messages are
claimed, `retention` how long finished ones stay, `misfire` which due occurrences of a
schedule run, `jitter` how long their messages wait.
"""
