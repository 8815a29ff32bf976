"""``python -m trioqueue``: the same as the ``trioqueue`` command."""

from trioqueue.cli import main

if __name__ == "__main__":
    main()
