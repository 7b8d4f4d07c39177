"""The command line. Each command imports what it runs on when it runs, so that help is quick."""
