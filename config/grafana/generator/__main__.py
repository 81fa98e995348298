"""Makes config/grafana/dashboards/*.json and config/prometheus/application.rules.yml.

    python3 config/grafana/generator [--check]

--check: writes nothing and ends with 1 if a file is not what would be written.
"""

from __future__ import annotations

import json
import pathlib
import sys

sys.dont_write_bytecode = True

import application
import host
import logs_and_sql
import pipeline
import profiles
import rules
import runtime
import services
from model import Dashboard

CONFIG = pathlib.Path(__file__).resolve().parents[2]
FOLDER = CONFIG / "grafana/dashboards"
RULES = CONFIG / "prometheus/application.rules.yml"
DASHBOARDS: list[Dashboard] = [
    module.DASHBOARD for module in (application, services, host, runtime, profiles, logs_and_sql, pipeline)
]


def files() -> dict[pathlib.Path, str]:
    """What each file holds."""
    boards = {
        FOLDER / f"{dashboard.name}.json": json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"
        for dashboard in DASHBOARDS
    }
    return {**boards, RULES: rules.TEXT}


def main(arguments: list[str]) -> int:
    wanted = files()
    there = {*FOLDER.glob("*.json"), *CONFIG.glob(RULES.relative_to(CONFIG).as_posix())}
    stale = sorted(str(p.relative_to(CONFIG)) for p in there | wanted.keys() if p not in wanted or p not in there or p.read_text() != wanted[p])
    if arguments == ["--check"]:
        for name in stale:
            print(f"config/{name} is not what config/grafana/generator makes: run it", file=sys.stderr)
        return 1 if stale else 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    for path in there - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)
    print(f"{len(wanted)} files, {len(stale)} of them changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
