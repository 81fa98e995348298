"""Superset itself, without a browser: what its pages ask of its API. Prints one JSON object.

    client.py ADDRESS SERVICE      the store's port, and whose spans are counted
"""

import json
import logging
import os
import pathlib
import sys
import tempfile

place, service = sys.argv[1:]
# A space, as in `2026-11-29 : 2026-11-30`: the times between which a chart is asked about.
RANGE = "2020-01-01T00:00:00 : 2100-01-01T00:00:00"

home = tempfile.TemporaryDirectory()
os.environ["SUPERSET_HOME"] = home.name
os.environ["SUPERSET_CONFIG_PATH"] = str(pathlib.Path(__file__).with_name("superset_config.py"))
logging.disable(logging.WARNING)

from superset.app import create_app  # noqa: E402

app = create_app()
with app.app_context():
    from flask_appbuilder import Model
    from superset import db, security_manager

    Model.metadata.create_all(db.engine)
    db.create_all()
    app.appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    security_manager.add_user("admin", "a", "b", "a@example.org", security_manager.find_role("Admin"), password="admin")

client = app.test_client()
found = {}


def ask(method, path, **body):
    answer = client.open(f"/api/v1/{path}", method=method, headers=head, **({"json": body} if body else {}))
    said = answer.get_json(silent=True) or {"text": answer.get_data(as_text=True)[:500]}
    if answer.status_code >= 300:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {json.dumps(said)[:1500]}")
    return said


def rows(dataset, **query):
    asked = ask("POST", "chart/data", datasource={"id": dataset, "type": "table"}, queries=[{"row_limit": 1000, **query}])
    return asked["result"][0]["data"]


head = {}
token = ask("POST", "security/login", username="admin", password="admin", provider="db")["access_token"]
head = {"Authorization": f"Bearer {token}"}
uri = f"postgresql+psycopg2://me@{place}/vispyr"
ask("POST", "database/test_connection/", sqlalchemy_uri=uri, database_name="vispyr")
database = ask("POST", "database/", database_name="vispyr", sqlalchemy_uri=uri, expose_in_sqllab=True, extra='{"cost_estimate_enabled": true}')["id"]
found["schemas"] = ask("GET", f"database/{database}/schemas/")["result"]
tables = ask("GET", f"database/{database}/tables/?q=(schema_name:public)")["result"]
found["tables"] = {table["value"]: table["type"] for table in tables}
found["metadata"] = {
    column["name"]: column["type"] for column in ask("GET", f"database/{database}/table_metadata/?name=spans&schema=public")["columns"]
}

dataset = ask("POST", "dataset/", database=database, schema="public", table_name="spans")["id"]
columns = ask("GET", f"dataset/{dataset}")["result"]["columns"]
found["times"] = sorted(column["column_name"] for column in columns if column["is_dttm"])

# A chart for each time grain: the counts over time are those of all spans.
only = [{"col": "service_name", "op": "==", "val": service}]
count = {"expressionType": "SQL", "sqlExpression": "count(*)", "label": "spans"}
grains = {}
with app.app_context():
    from superset.models.core import Database

    wanted = [grain.duration for grain in db.session.get(Database, database).grains()]
for grain in wanted:
    counted = rows(
        dataset, columns=[], metrics=[count], granularity="start_time", time_range=RANGE, filters=only, is_timeseries=True,
        extras={"time_grain_sqla": grain} if grain else {},
    )
    grains[grain or "none"] = sum(row["spans"] for row in counted)
found["grains"] = grains
found["by name"] = {
    row["name"]: row["spans"] for row in rows(dataset, columns=["name"], metrics=[count], granularity="start_time", time_range=RANGE, filters=only)
}
found["raw"] = len(rows(dataset, columns=["name", "start_time", "duration_ns"], orderby=[["start_time", False]], filters=only, row_limit=7))

# SQL Lab: a statement that it puts its limit around, its estimate, and one that is wrong.
asked = {"database_id": database, "schema": "public", "runAsync": False, "expand_data": True}
lab = ask("POST", "sqllab/execute/", sql=f"SELECT name, duration_ns FROM spans WHERE service_name = '{service}'", queryLimit=5, client_id="a", **asked)
found["lab"] = {"rows": len(lab["data"]), "status": lab["status"], "ran": lab["query"]["executedSql"]}
found["estimate"] = ask("POST", "sqllab/estimate/", database_id=database, schema="public", sql="SELECT count(*) FROM spans")["result"]
try:
    ask("POST", "sqllab/execute/", sql="SELECT durration FROM spans", queryLimit=5, client_id="b", **asked)
except RuntimeError as why:
    found["wrong"] = str(why)
print(json.dumps(found))
