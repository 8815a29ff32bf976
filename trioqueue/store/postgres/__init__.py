"""trioqueue on PostgreSQL.

From the top down (imports point down this list):

- `opening`: opens everything for `open_store`
- `executor`, `inline`: serve many callers with few transactions; `inline` is for
  virtual time
- `group`: one transaction for many requests, and what happens when one fails
- `session`: a connection that drives operations, with its prepared statements
- `signals`: tells other processes what was committed, and hears it from them
- `pool`, `pool_parts`: connections, lent fairly and renewed
- `server_clock`: the server's time
- `faults`: the driver's errors as ours
- `migrations`, `tables`: the schema, step by step
- ``*statements``, `compiling`, `encoding`: the SQL, and its way to the server
- `settings`: what a store's URL says
- `driver`, `driving`, `endings`, `addresses`, `readiness`: psycopg, waiting the Trio
  way; only here is it known from within
"""
