"""psycopg 3, SQLAlchemy and pandas. Prints one JSON object."""

import json
import sys

import pandas
import psycopg
import sqlalchemy

place, service = sys.argv[1:]
host, port = place.rsplit(":", 1)
found = {}
with psycopg.connect(host=host, port=port, user="me", dbname="vispyr") as connection:
    with connection.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT name, start_time, duration_ns, attributes FROM spans WHERE service_name = %s AND duration_ns > %s", (service, 0)
        )
        rows = cursor.fetchall()
        found["psycopg"] = len([row for row in rows if row[1].year >= 2026 and row[2] == 5_000_000 and "n" in row[3]])
        cursor.execute("SELECT count(*) FROM spans WHERE service_name = %s AND name = ANY(%s)", (service, ["work 1", "nothing"]))
        found["any"] = cursor.fetchone()[0]
    with connection.cursor(name="parts") as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT name FROM spans WHERE service_name = %s", (service,))
        found["cursor"] = sum(1 for _ in cursor)
engine = sqlalchemy.create_engine(f"postgresql+psycopg://me@{place}/vispyr")
inspector = sqlalchemy.inspect(engine)
found["views"] = inspector.get_view_names()
found["columns"] = {column["name"]: type(column["type"]).__name__ for column in inspector.get_columns("spans")}
frame = pandas.read_sql(
    sqlalchemy.text("SELECT start_time, duration_ns FROM spans WHERE service_name = :service"), engine, params={"service": service}
)
found["pandas"] = len(frame)
found["types"] = [str(kind).split("[")[0] for kind in frame.dtypes]
print(json.dumps(found))
