-- Views and table macros over the schema `stored`; see macros.rs for what each is for.

CREATE VIEW main.traces AS
SELECT
    lower(hex(trace_id)) AS trace_id,
    min(start_time) AS start_time,
    (max(epoch_ns(start_time) + coalesce(duration_ns, 0)) - min(epoch_ns(start_time)))::BIGINT AS duration_ns,
    coalesce(
        arg_min(service_name, start_time) FILTER (WHERE parent_span_id IS NULL),
        arg_min(service_name, start_time)
    ) AS root_service,
    coalesce(arg_min(name, start_time) FILTER (WHERE parent_span_id IS NULL), arg_min(name, start_time)) AS root_name,
    count(*) AS span_count,
    count(*) FILTER (WHERE status_code = 'error') AS error_count,
    list_sort(list(DISTINCT service_name)) AS services
FROM stored.spans
GROUP BY stored.spans.trace_id;

-- Span ids may repeat and parents may form a ring (foreign data): the walk takes each id once and
-- starts from spans without a parent here, so it always ends.
CREATE MACRO main.trace(id) AS TABLE
WITH RECURSIVE of_trace AS MATERIALIZED (
    SELECT * FROM stored.spans WHERE trace_id = unhex(id)
),
ids AS MATERIALIZED (
    SELECT span_id, any_value(parent_span_id) AS parent FROM of_trace GROUP BY span_id
),
tree AS (
    SELECT span_id, 0 AS depth
    FROM ids
    WHERE parent IS NULL OR parent NOT IN (SELECT span_id FROM ids WHERE span_id IS NOT NULL)
    UNION ALL
    SELECT ids.span_id, tree.depth + 1 FROM ids JOIN tree ON ids.parent = tree.span_id WHERE tree.depth < 1000
)
SELECT
    tree.depth,
    of_trace.service_name,
    of_trace.name,
    of_trace.kind,
    of_trace.start_time,
    (epoch_ns(of_trace.start_time) - min(epoch_ns(of_trace.start_time)) OVER ())::BIGINT AS offset_ns,
    of_trace.duration_ns,
    of_trace.status_code,
    of_trace.status_message,
    lower(hex(of_trace.span_id)) AS span_id,
    lower(hex(of_trace.parent_span_id)) AS parent_span_id,
    of_trace.attributes,
    of_trace.events
FROM of_trace
LEFT JOIN tree ON tree.span_id = of_trace.span_id
ORDER BY of_trace.start_time, tree.depth;

-- What a service was asked: its server and consumer spans. The route is what OpenTelemetry calls
-- so, else the span's name, which is of low cardinality by convention.
CREATE MACRO main.red(from_time, to_time) AS TABLE
SELECT
    service_name,
    coalesce(attributes."http.route"::VARCHAR, name) AS route,
    count(*) AS requests,
    count(*) / any_value(seconds) AS per_second,
    count(*) FILTER (WHERE status_code = 'error') AS errors,
    100.0 * count(*) FILTER (WHERE status_code = 'error') / count(*) AS error_percent,
    quantile_cont(duration_ns, 0.5) / 1e6 AS p50_ms,
    quantile_cont(duration_ns, 0.95) / 1e6 AS p95_ms,
    quantile_cont(duration_ns, 0.99) / 1e6 AS p99_ms,
    max(duration_ns) / 1e6 AS max_ms
FROM stored.spans
CROSS JOIN (SELECT greatest(epoch(to_time::TIMESTAMP) - epoch(from_time::TIMESTAMP), 1e-9) AS seconds) AS span
WHERE kind IN ('server', 'consumer')
    AND start_time >= from_time::TIMESTAMP::TIMESTAMP_NS
    AND start_time < to_time::TIMESTAMP::TIMESTAMP_NS
GROUP BY 1, 2
ORDER BY requests DESC;

-- A span whose parent is of another service is a call from that one. The parent may have started
-- an hour before the range.
CREATE MACRO main.service_graph(from_time, to_time) AS TABLE
SELECT
    caller.service_name AS client,
    called.service_name AS server,
    count(*) AS calls,
    count(*) FILTER (WHERE called.status_code = 'error') AS errors,
    avg(called.duration_ns) / 1e6 AS mean_ms,
    quantile_cont(called.duration_ns, 0.95) / 1e6 AS p95_ms
FROM (
    SELECT trace_id, parent_span_id, service_name, status_code, duration_ns
    FROM stored.spans
    WHERE parent_span_id IS NOT NULL
        AND start_time >= from_time::TIMESTAMP::TIMESTAMP_NS
        AND start_time < to_time::TIMESTAMP::TIMESTAMP_NS
) AS called
JOIN (
    SELECT trace_id, span_id, service_name
    FROM stored.spans
    WHERE start_time >= (from_time::TIMESTAMP - INTERVAL 1 HOUR)::TIMESTAMP_NS
        AND start_time < to_time::TIMESTAMP::TIMESTAMP_NS
) AS caller ON caller.trace_id = called.trace_id AND caller.span_id = called.parent_span_id
WHERE caller.service_name IS DISTINCT FROM called.service_name
GROUP BY 1, 2
ORDER BY calls DESC;

-- The functions of these stacks, root first.
CREATE MACRO stored.paths(stack_ids) AS TABLE
WITH framed AS (
    SELECT stack_id, unnest(frame_ids) AS frame_id, generate_subscripts(frame_ids, 1) AS place
    FROM (
        SELECT stack_id, any_value(frame_ids) AS frame_ids
        FROM stored.stacks
        WHERE stack_id IN (SELECT unnest(stack_ids))
        GROUP BY stack_id
    )
),
named AS (
    SELECT frame_id, coalesce(any_value(function), '?') AS function
    FROM stored.frames
    WHERE frame_id IN (SELECT frame_id FROM framed)
    GROUP BY frame_id
)
SELECT framed.stack_id, list(coalesce(named.function, '?') ORDER BY framed.place) AS path
FROM framed
LEFT JOIN named ON named.frame_id = framed.frame_id
GROUP BY framed.stack_id;

CREATE MACRO main.flame(service, of_type, from_time, to_time) AS TABLE
WITH sampled AS MATERIALIZED (
    SELECT stack_id, sum(value)::BIGINT AS value
    FROM stored.profile_samples
    WHERE (service IS NULL OR service_name = service)
        AND (of_type IS NULL OR profile_type = of_type)
        AND time >= from_time::TIMESTAMP::TIMESTAMP_NS
        AND time < to_time::TIMESTAMP::TIMESTAMP_NS
    GROUP BY stack_id
),
paths AS MATERIALIZED (FROM stored.paths((SELECT list(stack_id) FROM sampled))),
nodes AS (
    SELECT path[1:depth] AS path, depth, value, depth = len(path) AS is_leaf
    FROM (
        SELECT paths.path, sampled.value, unnest(range(0, len(paths.path) + 1)) AS depth
        FROM sampled
        JOIN paths ON paths.stack_id = sampled.stack_id
    )
)
SELECT
    depth::INTEGER AS level,
    CASE WHEN depth = 0 THEN 'total' ELSE path[-1] END AS label,
    sum(value)::BIGINT AS value,
    coalesce(sum(value) FILTER (WHERE is_leaf), 0)::BIGINT AS self
FROM nodes
GROUP BY path, depth
ORDER BY path;

CREATE MACRO main.span_profile(id) AS TABLE
WITH sampled AS MATERIALIZED (
    SELECT profile_type, stack_id, sum(value)::BIGINT AS value
    FROM stored.profile_samples
    WHERE span_id = unhex(id)
    GROUP BY profile_type, stack_id
),
paths AS (FROM stored.paths((SELECT list(stack_id) FROM sampled)))
SELECT sampled.profile_type, paths.path AS stack, sampled.value
FROM sampled
LEFT JOIN paths ON paths.stack_id = sampled.stack_id
ORDER BY sampled.profile_type, sampled.value DESC;

CREATE MACRO main.exemplars_of(of_metric, from_time, to_time) AS TABLE
SELECT
    e.time,
    e.value,
    lower(hex(e.trace_id)) AS trace_id,
    lower(hex(e.span_id)) AS span_id,
    s.service_name,
    s.labels,
    e.attributes
FROM stored.exemplars AS e
JOIN (
    SELECT series_id, any_value(service_name) AS service_name, any_value(labels) AS labels
    FROM stored.series
    WHERE metric = of_metric
    GROUP BY series_id
) AS s ON s.series_id = e.series_id
WHERE e.time >= from_time::TIMESTAMP::TIMESTAMP_NS AND e.time < to_time::TIMESTAMP::TIMESTAMP_NS
ORDER BY e.time;

CREATE MACRO main.telemetry_volume(from_time, to_time) AS TABLE
SELECT
    signal,
    service_name,
    count(*) AS items,
    count(*) / any_value(seconds) AS per_second,
    min(time) AS first,
    max(time) AS last
FROM (
    SELECT 'spans' AS signal, service_name, start_time AS time FROM stored.spans
    UNION ALL
    SELECT 'metric points', service_name, time FROM metric_points
    UNION ALL
    SELECT 'log records', service_name, time FROM stored.logs
    UNION ALL
    SELECT 'profile samples', service_name, time FROM stored.profile_samples
) AS items
CROSS JOIN (SELECT greatest(epoch(to_time::TIMESTAMP) - epoch(from_time::TIMESTAMP), 1e-9) AS seconds) AS span
WHERE time >= from_time::TIMESTAMP::TIMESTAMP_NS AND time < to_time::TIMESTAMP::TIMESTAMP_NS
GROUP BY signal, service_name
ORDER BY signal, items DESC;
