"""psycopg 3, SQLAlchemy, pandas and ADBC. Prints one JSON object."""

import datetime
import json
import sys

import adbc_driver_postgresql.dbapi
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
# An answer with dates and NULLs, a time of ours compared with one of Python's.
statement = """SELECT start_time::date AS day, name, avg(duration_ns) AS mean, max(status_message) AS said FROM spans
    WHERE service_name = %(service)s AND start_time > %(since)s GROUP BY 1, 2 ORDER BY 1, 2"""
since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
frame = pandas.read_sql(statement, engine, params={"service": service, "since": since}, parse_dates=["day"])
found["grouped"] = frame.groupby("name")["mean"].mean().to_dict()
found["days"] = str(frame["day"].dtype).split("[")[0]
found["chunks"] = sum(len(part) for part in pandas.read_sql("SELECT name FROM spans", engine, chunksize=7))
# It copies the rows out in PostgreSQL's bytes, and makes Arrow of them.
with adbc_driver_postgresql.dbapi.connect(f"postgresql://me@{place}/vispyr") as connection:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, start_time, duration_ns, attributes FROM spans WHERE service_name = $1", (service,))
        table = cursor.fetch_arrow_table()
        found["adbc"] = [table.num_rows, sorted(set(table["duration_ns"].to_pylist()))]
        found["adbc types"] = {field.name: str(field.type) for field in table.schema}
    of_spans = connection.adbc_get_objects(db_schema_filter="public", table_name_filter="spans").read_all().to_pylist()
    [table] = of_spans[0]["catalog_db_schemas"][0]["db_schema_tables"]
    found["adbc columns"] = [table["table_type"], *(column["column_name"] for column in table["table_columns"])]
print(json.dumps(found))
