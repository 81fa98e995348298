// Asks the store with pgx and with lib/pq, as Grafana's PostgreSQL data source does: dashboards through the simple
// protocol, the schema browser through the extended one. Prints one JSON object.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/lib/pq"
)

// What Grafana's macros become.
const (
	timeFilter  = "start_time BETWEEN '2020-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'"
	timeGroup   = "floor(extract(epoch from start_time)/60)*60"
	epochFilter = "epoch(start_time) >= 1577836800 AND epoch(start_time) <= 4102444800"
)

var dashboards = map[string]string{
	"time series": "SELECT " + timeGroup + " AS \"time\", count(*) AS value FROM spans WHERE " + timeFilter + " GROUP BY 1 ORDER BY 1",
	"table":       "SELECT name, count(*) FROM spans WHERE " + epochFilter + " GROUP BY name ORDER BY 2 DESC",
	"two":         "SELECT 1; SELECT count(*) FROM spans",
	"ping":        "-- ping",
	"empty":       "",
}

const columns = `SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns WHERE
 CASE WHEN array_length(parse_ident($1),1) = 2
 THEN quote_ident(table_schema) = (parse_ident($1))[1] AND quote_ident(table_name) = (parse_ident($1))[2]
 ELSE quote_ident(table_name) = $1 AND quote_ident(table_schema) IN (
  SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
  FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1),
   array_upper(string_to_array(current_setting('search_path'),','),1)) as i,
   string_to_array(current_setting('search_path'),',') s) END`

func main() {
	found := map[string]any{}
	if err := withPgx(found, os.Args[1]); err != nil {
		found["error"] = "pgx: " + err.Error()
	} else if err := withPq(found, os.Args[1]); err != nil {
		found["error"] = "pq: " + err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(found)
}

func withPgx(found map[string]any, place string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := pgx.Connect(ctx, place)
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	for name, statement := range dashboards {
		results, err := connection.PgConn().Exec(ctx, statement).ReadAll()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows := 0
		for _, result := range results {
			rows += len(result.Rows)
		}
		found["pgx "+name] = rows
	}
	rows, err := connection.Query(ctx, columns, "spans")
	if err != nil {
		return err
	}
	types := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return err
		}
		types[name] = kind
	}
	if rows.Err() != nil {
		return rows.Err()
	}
	found["pgx columns"] = types
	var count int64
	var last time.Time
	since := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	statement := "SELECT count(*), max(start_time) FROM spans WHERE start_time > $1 AND duration_ns >= $2 AND name <> $3"
	if err := connection.QueryRow(ctx, statement, since, int64(0), "nothing").Scan(&count, &last); err != nil {
		return err
	}
	found["pgx count"], found["pgx year"] = count, last.UTC().Year()
	var attributes map[string]any
	if err := connection.QueryRow(ctx, "SELECT attributes FROM spans WHERE attributes IS NOT NULL LIMIT 1").Scan(&attributes); err != nil {
		return err
	}
	found["pgx attributes"] = len(attributes)
	return nil
}

func withPq(found map[string]any, place string) error {
	database, err := sql.Open("postgres", place+"?sslmode=disable")
	if err != nil {
		return err
	}
	defer database.Close()
	var count int64
	if err := database.QueryRow("SELECT count(*) FROM spans WHERE start_time > $1", time.Unix(0, 0)).Scan(&count); err != nil {
		return err
	}
	found["pq count"] = count
	var version int
	if err := database.QueryRow("SELECT current_setting('server_version_num')::int/100").Scan(&version); err != nil {
		return err
	}
	found["pq version"] = version
	return nil
}
