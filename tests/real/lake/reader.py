"""Attaches a store's catalog with DuckDB's DuckLake extension, read-only, and answers the questions on
its standard input, one list of statements a line, in one transaction each: reader.py CATALOG"""

import importlib
import json
import pathlib
import sys

import duckdb


def load(db, extension):
    """The extension out of its wheel: nothing is installed from the network."""
    package = importlib.import_module(f"duckdb_extension_{extension}")
    (file,) = pathlib.Path(package.__path__[0]).glob(f"extensions/*/{extension}.duckdb_extension")
    db.execute(f"LOAD '{file}'")


db = duckdb.connect(config={"autoinstall_known_extensions": "false"})
load(db, "sqlite_scanner")
load(db, "ducklake")
db.execute(f"ATTACH 'ducklake:sqlite:{sys.argv[1]}' AS lake (READ_ONLY)")
db.execute("USE lake")
for line in sys.stdin:
    try:
        db.execute("BEGIN")
        answers = [db.execute(question).fetchall() for question in json.loads(line)]
        db.execute("COMMIT")
        print(json.dumps(answers, default=str), flush=True)
    except duckdb.Error as error:
        db.execute("ROLLBACK")
        print(json.dumps({"error": str(error)}), flush=True)
