"""trioqueue on SQLite: the SQL behind each query name, migrations, and executors.

`statements` and `history_statements` hold the SQL; `migrations` the tables;
`connection` opens a file and drives operations on it; `writer` is the thread that
commits in groups; `executor` and `inline` are what a store runs on, in real and in
virtual time; `watcher` notices what other processes commit.
"""
