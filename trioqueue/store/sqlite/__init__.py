"""trioqueue on SQLite: the SQL behind each query name, migrations, and executors.

`statements` and `history_statements` hold the SQL; `migrations` the tables;
`connection` opens a file and drives operations on it, `patience` waits for its lock;
`group` serves many callers with one transaction, and `writer` is the thread that does;
`threaded` and `inline` are what a store runs on, in real and in virtual time; `watcher`
notices what other processes commit.
"""
