"""The command line: ``app.py`` and one file per verb."""
