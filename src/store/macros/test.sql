INSERT INTO stored.spans BY NAME
SELECT
    unhex('0102030405060708090a0b0c0d0e0f10') AS trace_id,
    unhex(lpad(hex(i), 16, '0')) AS span_id,
    CASE WHEN i = 1 THEN NULL ELSE unhex(lpad(hex(i // 2), 16, '0')) END AS parent_span_id,
    'op' || i AS name,
    CASE i % 2 WHEN 1 THEN 'server' ELSE 'client' END AS kind,
    make_timestamp_ns(1767225600000000000 + i * 1000000) AS start_time,
    1000000 * i AS duration_ns,
    CASE WHEN i = 3 THEN 'error' ELSE 'unset' END AS status_code,
    'svc' || (i % 3) AS service_name,
    {'http.route': '/r' || i % 2}::VARIANT AS attributes
FROM range(1, 8) AS t(i);

INSERT INTO stored.spans BY NAME
SELECT
    unhex('ff') AS trace_id,
    unhex(id) AS span_id,
    unhex(parent) AS parent_span_id,
    id AS name,
    'internal' AS kind,
    make_timestamp_ns(1767225700000000000) AS start_time,
    1 AS duration_ns,
    'unset' AS status_code,
    'ring' AS service_name
FROM (VALUES ('01', '02'), ('02', '01'), ('03', '03'), ('03', '03'), ('03', '04'), ('03', NULL)) AS t(id, parent);

INSERT INTO stored.stacks BY NAME
SELECT 1 AS stack_id, [10, 11, 12] AS frame_ids
UNION ALL SELECT 1, [10, 11, 12]
UNION ALL SELECT 2, [10, 13];

INSERT INTO stored.frames BY NAME SELECT 10 + i AS frame_id, 'f' || i AS function FROM range(4) AS t(i);

INSERT INTO stored.profile_samples BY NAME
SELECT unhex('aa') AS profile_id, make_timestamp_ns(1767225600000000000) AS time, 'cpu' AS profile_type,
    'svc1' AS service_name, 5 AS value, 1 AS stack_id, unhex('0000000000000001') AS span_id
UNION ALL SELECT unhex('aa'), make_timestamp_ns(1767225600000000000), 'cpu', 'svc1', 7, 2, NULL;

INSERT INTO stored.series BY NAME
SELECT 1 AS series_id, 'm' AS metric, 'svc1' AS service_name, {'a': 'b'}::VARIANT AS labels
UNION ALL SELECT 1, 'm', 'svc1', {'a': 'b'}::VARIANT;

INSERT INTO stored.exemplars BY NAME
SELECT make_timestamp_ns(1767225600000000000) AS time, 1 AS series_id, 0.5 AS value, unhex('01') AS trace_id, unhex('02') AS span_id;
