"""Apache Superset, whole: it looks at our schema, makes a data set of a view, and asks for a chart with each of its
time grains and for what SQL Lab asks. It takes minutes and 900 MB to install, so it runs only where it is named, as CI does."""

from harness import HERE, virtual_environment
from postgres import SPANS, Postgres

SERVICE = "real-superset"


class Superset(Postgres):
    service = SERVICE
    seconds = 600

    def prepare(self):
        venv = virtual_environment("real-superset", HERE / "superset/requirements.txt", seconds=1200, built=False)
        self.clients = {"superset": [venv / "bin/python", HERE / "superset/client.py"]}

    def check_superset(self, command, place):
        found, check = self.found(command, place, SERVICE), self.results.check
        check("superset: schemas", found["schemas"], lambda schemas: "public" in schemas)
        check("superset: views", found["tables"], lambda tables: tables.get("spans") == tables.get("logs") == "view")
        check("superset: columns", found["metadata"], lambda columns: "TIMESTAMP" in columns["start_time"] and columns["duration_ns"] == "BIGINT")
        check("superset: columns of times", found["times"], ["end_time", "start_time"])
        check("superset: time grains", len(found["grains"]), lambda count: count > 12)
        check("superset: a chart by each grain", set(found["grains"].values()), {SPANS})
        check("superset: a chart by name", found["by name"], {f"work {n}": SPANS // 4 for n in range(4)})
        check("superset: rows", found["raw"], 7)
        check("superset: SQL Lab's limit", (found["lab"]["rows"], "LIMIT" in found["lab"]["ran"]), (5, True))
        check("superset: SQL Lab's estimate", found["estimate"], lambda estimate: len(estimate) == 1)
        check("superset: SQL Lab shows what is wrong", "durration" in found.get("wrong", ""), True)
