-- Views and table macros over the schema `stored`; see macros.rs for what each is for.

-- Rows of `spans` with the same value are the same span: a sender that tries again sends it as it
-- was. The client's and the server's half of a call, to which Zipkin gives one span id, differ in
-- kind. Spans without an id are all different.
CREATE MACRO stored.same_span(trace_id, span_id, kind, start_time) AS
    CASE WHEN span_id IS NULL THEN hash(uuid()) ELSE hash(trace_id, span_id, kind, start_time) END;

-- The duration, or NULL if a span that has begun is said to end in the future: that is no time but a
-- clock that jumped. A day is left for clocks that differ.
CREATE MACRO stored.plausible(start_time, duration_ns) AS
    CASE
        WHEN epoch_ns(start_time) + duration_ns <= epoch_ns(now()) + 86400000000000
            OR epoch_ns(start_time) > epoch_ns(now()) + 86400000000000
        THEN duration_ns
    END;

-- The root is the first span without a parent, or the first of all where the root has not come.
-- Spans that came twice are looked for within a trace, and only where they can be: two equal hashes
-- set the same one of 64 bits, so where as many bits are set as there are spans, all differ. That
-- costs a fraction of grouping all spans by their identity.
CREATE VIEW main.traces AS
SELECT
    lower(hex(trace_id)) AS trace_id,
    start_time,
    (last_ns - epoch_ns(start_time))::BIGINT AS duration_ns,
    root.service_name AS root_service,
    root.name AS root_name,
    CASE WHEN bit_count(bits) = received THEN received ELSE list_unique(spans)::BIGINT END AS span_count,
    CASE
        WHEN bit_count(bits) = received OR failed_received < 2 THEN failed_received
        ELSE list_unique(failed)::BIGINT
    END AS error_count,
    services
FROM (
    SELECT
        trace_id,
        min(start_time) AS start_time,
        max(epoch_ns(start_time) + coalesce(stored.plausible(start_time, duration_ns), 0)) AS last_ns,
        -- A span with a parent is the root only if there is none without: it comes after all times.
        arg_min(
            {'service_name': service_name, 'name': name},
            coalesce(epoch_ns(start_time), 9223372036854775807)::HUGEINT
                + CASE WHEN parent_span_id IS NULL THEN 0 ELSE 18446744073709551616 END
        ) AS root,
        count(*) AS received,
        bit_or(1::UBIGINT << (stored.same_span(trace_id, span_id, kind, start_time) & 63)) AS bits,
        list(stored.same_span(trace_id, span_id, kind, start_time)) AS spans,
        count(*) FILTER (WHERE status_code = 'error') AS failed_received,
        list(stored.same_span(trace_id, span_id, kind, start_time)) FILTER (WHERE status_code = 'error') AS failed,
        list_sort(list(DISTINCT service_name)) AS services
    FROM stored.spans
    GROUP BY trace_id
) AS grouped;

-- Each span id is a node; where a client and a server share one, the server's half stands one level
-- below the client's and above the children. What is above a node is found by doubling: each round
-- reaches twice as far up, so that a trace of any depth takes few rounds. Nodes that never reach a
-- root are in a ring of parents (foreign data) and have no depth. The order is that of time, but a
-- span never comes before its parent, whatever their clocks say.
CREATE MACRO main.trace(id) AS TABLE
WITH RECURSIVE of_trace AS MATERIALIZED (
    SELECT DISTINCT ON (stored.same_span(trace_id, span_id, kind, start_time)) *
    FROM stored.spans
    WHERE trace_id = unhex(id)
),
ids AS MATERIALIZED (
    SELECT
        span_id,
        min(parent_span_id) FILTER (WHERE parent_span_id != span_id) AS parent,
        min(epoch_ns(start_time)) AS start,
        bool_or(kind IN ('client', 'producer')) AND bool_or(kind IN ('server', 'consumer')) AS shared
    FROM of_trace
    WHERE span_id IS NOT NULL
    GROUP BY span_id
),
climb AS (
    SELECT
        ids.span_id,
        above.span_id AS above,
        coalesce(1 + above.shared::INTEGER, 0) AS depth,
        ids.start AS latest_start,
        ids.shared,
        0 AS round
    FROM ids
    LEFT JOIN ids AS above ON above.span_id = ids.parent
    UNION ALL
    SELECT
        near.span_id,
        far.above,
        near.depth + coalesce(far.depth, 0),
        greatest(near.latest_start, far.latest_start),
        near.shared,
        near.round + 1
    FROM (SELECT *, bool_or(above IS NOT NULL) OVER () AS unfinished FROM climb) AS near
    LEFT JOIN climb AS far ON far.span_id = near.above
    WHERE near.unfinished AND near.round < 20
),
tree AS MATERIALIZED (
    SELECT span_id, CASE WHEN above IS NULL THEN depth END AS depth, latest_start, shared
    FROM climb
    WHERE round = (SELECT max(round) FROM climb)
)
SELECT
    (tree.depth + (tree.shared AND of_trace.kind IN ('server', 'consumer'))::INTEGER)::INTEGER AS depth,
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
ORDER BY coalesce(tree.latest_start, epoch_ns(of_trace.start_time)), 1, of_trace.start_time;

-- What a service was asked: its server and consumer spans. The route is what OpenTelemetry calls
-- so, else the span's name, which is of low cardinality by convention. A span that came twice has the
-- same route twice, so it is looked for within a route, and the durations are made single only where
-- there is one. Both lists of a route are filled row by row, so they are in step.
CREATE MACRO main.red(from_time, to_time) AS TABLE
SELECT
    service_name,
    route,
    requests,
    requests / seconds AS per_second,
    errors,
    100.0 * errors / requests AS error_percent,
    quantiles[1] / 1e6 AS p50_ms,
    quantiles[2] / 1e6 AS p95_ms,
    quantiles[3] / 1e6 AS p99_ms,
    max_ns / 1e6 AS max_ms
FROM (
    SELECT
        service_name,
        route,
        list_unique(ids)::BIGINT AS requests,
        CASE
            WHEN len(ids) = list_unique(ids) OR errors < 2 THEN errors
            ELSE list_unique(failed)::BIGINT
        END AS errors,
        CASE
            WHEN len(ids) = list_unique(ids) THEN quantiles
            ELSE list_aggregate(
                list_transform(list_distinct(list_zip(ids, durations)), lambda pair: pair[2]),
                'quantile_cont',
                [0.5, 0.95, 0.99]
            )
        END AS quantiles,
        max_ns
    FROM (
        SELECT
            service_name,
            route,
            list(id) AS ids,
            list(duration_ns) AS durations,
            count(*) FILTER (WHERE status_code = 'error') AS errors,
            list(id) FILTER (WHERE status_code = 'error') AS failed,
            quantile_cont(duration_ns, [0.5, 0.95, 0.99]) AS quantiles,
            max(duration_ns) AS max_ns
        FROM (
            SELECT
                service_name,
                coalesce(
                    attributes."http.route"::VARCHAR,
                    CASE WHEN contains(name, '/') THEN name END,
                    attributes."url.path"::VARCHAR,
                    split_part(attributes."http.target"::VARCHAR, '?', 1),
                    name
                ) AS route,
                stored.same_span(trace_id, span_id, kind, start_time) AS id,
                status_code,
                stored.plausible(start_time, duration_ns) AS duration_ns
            FROM stored.spans
            WHERE kind IN ('server', 'consumer')
                AND start_time >= from_time::TIMESTAMP::TIMESTAMP_NS
                AND start_time < to_time::TIMESTAMP::TIMESTAMP_NS
        ) AS received
        GROUP BY service_name, route
    ) AS by_route
) AS once
CROSS JOIN (SELECT greatest(epoch(to_time::TIMESTAMP) - epoch(from_time::TIMESTAMP), 1e-9) AS seconds) AS span
ORDER BY requests DESC;

-- A span whose parent is of another service is a call from that one; so is the server's half of a
-- call that shares its span id with the client's. The parent may have started an hour before the
-- range. Of the two halves the server's is the parent of what it calls.
-- Which half is meant, and what came twice, is a question only for ids that two rows have. Those are
-- looked for first, by their hashes; mostly there are none, and all other spans take one join.
CREATE MACRO main.service_graph(from_time, to_time) AS TABLE
WITH callers AS NOT MATERIALIZED (
    SELECT trace_id, span_id, kind, service_name, hash(trace_id, span_id) AS id_hash
    FROM stored.spans
    WHERE start_time >= (from_time::TIMESTAMP - INTERVAL 1 HOUR)::TIMESTAMP_NS
        AND start_time < to_time::TIMESTAMP::TIMESTAMP_NS
),
called AS NOT MATERIALIZED (
    SELECT
        trace_id, span_id, parent_span_id, kind, service_name, status_code,
        stored.same_span(trace_id, span_id, kind, start_time) AS id,
        stored.plausible(start_time, duration_ns) AS duration_ns,
        hash(trace_id, span_id) AS id_hash,
        hash(trace_id, parent_span_id) AS parent_hash
    FROM stored.spans
    WHERE start_time >= from_time::TIMESTAMP::TIMESTAMP_NS
        AND start_time < to_time::TIMESTAMP::TIMESTAMP_NS
),
repeated_ids AS MATERIALIZED (
    SELECT id_hash FROM callers WHERE span_id IS NOT NULL GROUP BY id_hash HAVING count(*) > 1
),
usual_calls AS (
    SELECT caller.service_name AS client, called.service_name AS server, called.status_code, called.duration_ns
    FROM called
    JOIN callers AS caller ON caller.trace_id = called.trace_id AND caller.span_id = called.parent_span_id
    WHERE called.parent_span_id IS DISTINCT FROM called.span_id
        AND caller.service_name IS DISTINCT FROM called.service_name
        AND called.id_hash NOT IN (FROM repeated_ids)
        AND called.parent_hash NOT IN (FROM repeated_ids)
),
-- The called spans that have such an id, or whose parents do, and all that may have called them.
near AS MATERIALIZED (
    FROM called WHERE id_hash IN (FROM repeated_ids)
    UNION ALL
    FROM called WHERE parent_hash IN (FROM repeated_ids) AND id_hash NOT IN (FROM repeated_ids)
),
near_callers AS MATERIALIZED (
    FROM callers WHERE id_hash IN (SELECT id_hash FROM near UNION ALL SELECT parent_hash FROM near)
),
across AS MATERIALIZED (
    SELECT near.*, caller.service_name AS client, FALSE AS shared
    FROM near
    JOIN near_callers AS caller ON caller.trace_id = near.trace_id AND caller.span_id = near.parent_span_id
    WHERE near.parent_span_id IS DISTINCT FROM near.span_id
        AND caller.service_name IS DISTINCT FROM near.service_name
    UNION ALL
    SELECT near.*, caller.service_name AS client, TRUE AS shared
    FROM near
    JOIN near_callers AS caller ON caller.trace_id = near.trace_id AND caller.span_id = near.span_id
    WHERE near.kind IN ('server', 'consumer')
        AND caller.kind IN ('client', 'producer')
        AND caller.service_name IS DISTINCT FROM near.service_name
),
near_calls AS (
    SELECT
        arg_max(client, shared) AS client,
        any_value(service_name) AS server,
        any_value(status_code) AS status_code,
        any_value(duration_ns) AS duration_ns
    FROM across
    WHERE shared
        OR NOT EXISTS (
            SELECT 1
            FROM near_callers AS caller
            WHERE caller.trace_id = across.trace_id
                AND caller.span_id = across.parent_span_id
                AND caller.service_name IS NOT DISTINCT FROM across.service_name
        )
    GROUP BY id
)
SELECT
    client,
    server,
    count(*) AS calls,
    count(*) FILTER (WHERE status_code = 'error') AS errors,
    avg(duration_ns) / 1e6 AS mean_ms,
    quantile_cont(duration_ns, 0.95) / 1e6 AS p95_ms
FROM (FROM usual_calls UNION ALL FROM near_calls) AS calls
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
    SELECT 'metric points', service_name, time FROM main.metric_points
    UNION ALL
    SELECT 'log records', service_name, time FROM stored.logs
    UNION ALL
    SELECT 'profile samples', service_name, time FROM stored.profile_samples
) AS items
CROSS JOIN (SELECT greatest(epoch(to_time::TIMESTAMP) - epoch(from_time::TIMESTAMP), 1e-9) AS seconds) AS span
WHERE time >= from_time::TIMESTAMP::TIMESTAMP_NS AND time < to_time::TIMESTAMP::TIMESTAMP_NS
GROUP BY signal, service_name
ORDER BY signal, items DESC;
