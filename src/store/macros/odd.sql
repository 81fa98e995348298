-- Traces as foreign senders write them, in February. Times are seconds after its first midnight.
INSERT INTO stored.spans BY NAME
SELECT
    unhex(trace) AS trace_id,
    unhex(id) AS span_id,
    unhex(parent) AS parent_span_id,
    name,
    kind,
    make_timestamp_ns(1769904000000000000 + (start * 1000000000)::BIGINT) AS start_time,
    CASE WHEN seconds < 0 THEN 9223372036854775806 - 1769904000000000000 - (start * 1000000000)::BIGINT
        ELSE (seconds * 1000000000)::BIGINT END AS duration_ns,
    service AS service_name,
    status AS status_code
FROM (VALUES
    -- Zipkin: the two halves of a call share an id.
    ('14', '01', NULL, 'get', 'client', 0, 1, 'front', 'unset'),
    ('14', '01', NULL, 'get /', 'server', 0.1, 0.4, 'back', 'unset'),
    ('14', '02', '01', 'query', 'client', 0.2, 0.1, 'back', 'unset'),
    -- A sender that tried again.
    ('15', '01', NULL, 'ask', 'client', 0, 1, 'twice-a', 'unset'),
    ('15', '02', '01', 'answer', 'server', 0.1, 1, 'twice-b', 'error'),
    ('15', '01', NULL, 'ask', 'client', 0, 1, 'twice-a', 'unset'),
    ('15', '02', '01', 'answer', 'server', 0.1, 1, 'twice-b', 'error'),
    -- Clocks that differ, no times, an end that is the greatest time there is (-1).
    ('16', '01', NULL, 'root', 'internal', 5, 1, 'x', 'unset'),
    ('16', '02', '01', 'early', 'internal', 0, 1, 'x', 'unset'),
    ('16', '03', '02', 'no time', 'internal', NULL, NULL, 'x', 'unset'),
    ('16', '04', '02', 'endless', 'internal', 6, -1, 'x', 'unset'),
    -- Spans without an id.
    ('17', NULL, NULL, 'no id', 'internal', 0, 1, 'x', 'unset'),
    ('17', NULL, NULL, 'no id', 'internal', 0, 1, 'x', 'unset'),
    -- No times at all.
    ('18', '01', NULL, 'timeless', 'internal', NULL, NULL, 'x', 'unset')
) AS t(trace, id, parent, name, kind, start, seconds, service, status);

-- A chain, each span a child of the one before it and, by its clock, a nanosecond earlier.
INSERT INTO stored.spans BY NAME
SELECT
    unhex('19') AS trace_id,
    unhex(lpad(hex(i), 16, '0')) AS span_id,
    CASE WHEN i > 0 THEN unhex(lpad(hex(i - 1), 16, '0')) END AS parent_span_id,
    'level' AS name,
    'internal' AS kind,
    make_timestamp_ns(1769904000000000000 - i) AS start_time,
    1 AS duration_ns,
    'deep' AS service_name,
    'unset' AS status_code
FROM range(3000) AS t(i);
