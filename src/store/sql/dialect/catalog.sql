-- The catalog that clients of PostgreSQL's protocol expect, as PostgreSQL's documentation describes it ("System
-- Catalogs", "System Views", "The Information Schema"), for a database that has views and nothing else.
-- The schema `shown` has what is shown: it is filled before this runs.
--   shown.tables(oid, name, comment), shown.columns(oid, name, number, type, modifier, comment),
--   shown.functions(oid, name, arguments, definition), shown.types(oid, name, length, category, kind, item, array)
CREATE SCHEMA pgc;
CREATE SCHEMA infos;
SET search_path = 'pgc,main';

-- What a connection is. It is set before each statement.
CREATE MACRO pgc.session_user_() AS coalesce(getvariable('session_user'), 'vispyr');
CREATE MACRO pgc.session_database_() AS coalesce(getvariable('session_database'), 'vispyr');
CREATE MACRO pgc.current_user_() AS session_user_();
CREATE MACRO pgc.current_database() AS session_database_();
CREATE MACRO pgc.current_catalog_() AS session_database_();
CREATE MACRO pgc.current_schema() AS 'public';
CREATE MACRO pgc.current_schemas(the_implicit) AS
  CASE WHEN the_implicit THEN ['pg_catalog', 'public'] ELSE ['public'] END;
CREATE MACRO pgc.pg_backend_pid() AS coalesce(getvariable('session_number')::INTEGER, 1);
CREATE MACRO pgc.pg_postmaster_start_time() AS coalesce(getvariable('session_start')::TIMESTAMPTZ, now());
CREATE MACRO pgc.version() AS 'PostgreSQL 16.6 (Vispyr)';
CREATE MACRO pgc.set_config(the_name, the_value, the_is_local) AS the_value;

CREATE MACRO pgc.setting_(the_name) AS CASE lower(the_name)
    WHEN 'application_name' THEN '' WHEN 'bytea_output' THEN 'hex' WHEN 'client_encoding' THEN 'UTF8'
    WHEN 'datestyle' THEN 'ISO, MDY' WHEN 'default_transaction_isolation' THEN 'read committed'
    WHEN 'default_transaction_read_only' THEN 'on' WHEN 'extra_float_digits' THEN '1'
    WHEN 'integer_datetimes' THEN 'on' WHEN 'intervalstyle' THEN 'postgres' WHEN 'is_superuser' THEN 'off'
    WHEN 'lc_collate' THEN 'C' WHEN 'lc_ctype' THEN 'C' WHEN 'max_connections' THEN '512'
    WHEN 'max_identifier_length' THEN '63' WHEN 'max_index_keys' THEN '32' WHEN 'search_path' THEN 'public'
    WHEN 'server_encoding' THEN 'UTF8' WHEN 'server_version' THEN '16.6' WHEN 'server_version_num' THEN '160006'
    WHEN 'ssl' THEN 'off' WHEN 'standard_conforming_strings' THEN 'on' WHEN 'statement_timeout' THEN '0'
    WHEN 'timezone' THEN 'UTC' WHEN 'transaction_isolation' THEN 'read committed'
    WHEN 'transaction_read_only' THEN 'on' END;
CREATE MACRO pgc.current_setting(the_name) AS setting_(the_name), (the_name, missing_ok_) AS setting_(the_name);
CREATE TABLE pgc.pg_settings_ AS
SELECT name, setting_(name) AS setting FROM (SELECT unnest([
  'application_name', 'bytea_output', 'client_encoding', 'datestyle', 'default_transaction_isolation',
  'default_transaction_read_only', 'extra_float_digits', 'integer_datetimes', 'intervalstyle', 'is_superuser',
  'lc_collate', 'lc_ctype', 'max_connections', 'max_identifier_length', 'max_index_keys', 'search_path',
  'server_encoding', 'server_version', 'server_version_num', 'ssl', 'standard_conforming_strings',
  'statement_timeout', 'timezone', 'transaction_isolation', 'transaction_read_only'
]) AS name);
CREATE VIEW pgc.pg_settings AS
SELECT name, setting, NULL::VARCHAR AS unit, 'Vispyr' AS category, name AS short_desc, NULL::VARCHAR AS extra_desc,
  'user' AS context, 'string' AS vartype, 'default' AS source, NULL::VARCHAR AS min_val, NULL::VARCHAR AS max_val,
  NULL::VARCHAR[] AS enumvals, setting AS boot_val, setting AS reset_val, NULL::VARCHAR AS sourcefile,
  NULL::INTEGER AS sourceline, false AS pending_restart
FROM pgc.pg_settings_;

-- Schemas, roles, databases.
CREATE TABLE pgc.pg_namespace AS
SELECT * FROM (VALUES
  (11::BIGINT, 'pg_catalog', 10::BIGINT, NULL::VARCHAR[]),
  (2200, 'public', 10, NULL),
  (13000, 'information_schema', 10, NULL)
) AS t(oid, nspname, nspowner, nspacl);
CREATE VIEW pgc.pg_roles AS
SELECT session_user_() AS rolname, false AS rolsuper, true AS rolinherit, false AS rolcreaterole, false AS rolcreatedb,
  true AS rolcanlogin, false AS rolreplication, -1 AS rolconnlimit, '********' AS rolpassword,
  NULL::TIMESTAMP AS rolvaliduntil, false AS rolbypassrls, NULL::VARCHAR[] AS rolconfig, 10::BIGINT AS oid;
CREATE VIEW pgc.pg_authid AS SELECT * FROM pgc.pg_roles;
CREATE VIEW pgc.pg_user AS
SELECT rolname AS usename, oid AS usesysid, false AS usecreatedb, false AS usesuper, false AS userepl,
  false AS usebypassrls, rolpassword AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig
FROM pgc.pg_roles;
CREATE VIEW pgc.pg_database AS
SELECT 5::BIGINT AS oid, session_database_() AS datname, 10::BIGINT AS datdba, 6 AS encoding, 'c' AS datlocprovider,
  false AS datistemplate, true AS datallowconn, -1 AS datconnlimit, 722::BIGINT AS datfrozenxid,
  1::BIGINT AS datminmxid, 1663::BIGINT AS dattablespace, 'C' AS datcollate, 'C' AS datctype,
  NULL::VARCHAR AS daticulocale, NULL::VARCHAR AS daticurules, NULL::VARCHAR AS datcollversion,
  NULL::VARCHAR[] AS datacl;
CREATE TABLE pgc.pg_tablespace AS
SELECT 1663::BIGINT AS oid, 'pg_default' AS spcname, 10::BIGINT AS spcowner, NULL::VARCHAR[] AS spcacl,
  NULL::VARCHAR[] AS spcoptions;

-- Tables and their columns. All are views, and so are those of the catalog.
CREATE VIEW pgc.pg_class AS
SELECT t.oid, t.name AS relname, 2200::BIGINT AS relnamespace, t.oid + 100000 AS reltype, 0::BIGINT AS reloftype,
  10::BIGINT AS relowner, 0::BIGINT AS relam, 0::BIGINT AS relfilenode, 0::BIGINT AS reltablespace, 0 AS relpages,
  (-1)::FLOAT AS reltuples, 0 AS relallvisible, 0::BIGINT AS reltoastrelid, false AS relhasindex,
  false AS relisshared, 'p' AS relpersistence, 'v' AS relkind,
  (SELECT count(*) FROM shown.columns c WHERE c.oid = t.oid)::SMALLINT AS relnatts, 0::SMALLINT AS relchecks,
  true AS relhasrules, false AS relhastriggers, false AS relhassubclass, false AS relrowsecurity,
  false AS relforcerowsecurity, true AS relispopulated, 'n' AS relreplident, false AS relispartition,
  0::BIGINT AS relrewrite, 0::BIGINT AS relfrozenxid, 0::BIGINT AS relminmxid, NULL::VARCHAR[] AS relacl,
  NULL::VARCHAR[] AS reloptions, NULL::VARCHAR AS relpartbound
FROM shown.tables t
UNION ALL
-- Where a comment belongs to: no more of the catalog is listed.
SELECT c.oid, c.name, 11, 0, 0, 10, 2, 0, 0, 0, -1, 0, 0, false, true, 'p', 'r', 0, 0, false, false, false, false,
  false, true, 'n', false, 0, 0, 0, NULL, NULL, NULL
FROM (VALUES (1259, 'pg_class'), (1247, 'pg_type'), (1249, 'pg_attribute'), (1255, 'pg_proc'), (2615, 'pg_namespace'),
  (1262, 'pg_database'), (2606, 'pg_constraint'), (3456, 'pg_collation'), (1260, 'pg_authid')) AS c(oid, name);
CREATE VIEW pgc.pg_attribute AS
SELECT c.oid AS attrelid, c.name AS attname, c.type AS atttypid, coalesce(y.length, -1)::SMALLINT AS attlen,
  c.number::SMALLINT AS attnum, -1 AS attcacheoff, c.modifier AS atttypmod,
  (CASE WHEN y.item <> 0 THEN 1 ELSE 0 END)::SMALLINT AS attndims, false AS attbyval, 'i' AS attalign,
  'x' AS attstorage, '' AS attcompression, false AS attnotnull, false AS atthasdef, false AS atthasmissing,
  '' AS attidentity, '' AS attgenerated, false AS attisdropped, true AS attislocal, 0::SMALLINT AS attinhcount,
  -1::SMALLINT AS attstattarget, (CASE WHEN c.type IN (25, 1043) THEN 100 ELSE 0 END)::BIGINT AS attcollation,
  NULL::VARCHAR[] AS attacl, NULL::VARCHAR[] AS attoptions, NULL::VARCHAR[] AS attfdwoptions,
  NULL::VARCHAR[] AS attmissingval
FROM shown.columns c LEFT JOIN shown.types y ON y.oid = c.type;
CREATE VIEW pgc.pg_description AS
SELECT oid AS objoid, 1259::BIGINT AS classoid, 0 AS objsubid, comment AS description
FROM shown.tables WHERE comment IS NOT NULL
UNION ALL
SELECT oid, 1259, number, comment FROM shown.columns WHERE comment IS NOT NULL;
CREATE VIEW pgc.pg_views AS
SELECT 'public' AS schemaname, name AS viewname, session_user_() AS viewowner, 'SELECT ...' AS definition
FROM shown.tables;
-- Clients know a type by the functions that read and write it, most of which have an underscore in their names.
CREATE MACRO pgc.io_function_(the_type, the_item, the_use) AS CASE
  WHEN the_item <> 0 THEN 'array_' || the_use
  WHEN the_type IN ('json', 'jsonb', 'date', 'time', 'timestamp', 'timestamptz', 'interval', 'numeric', 'uuid', 'inet',
    'record', 'void', 'trigger') THEN the_type || '_' || the_use
  ELSE the_type || the_use END;
CREATE VIEW pgc.pg_type AS
SELECT y.oid, y.name AS typname, 11::BIGINT AS typnamespace, 10::BIGINT AS typowner, y.length::SMALLINT AS typlen,
  y.length BETWEEN 1 AND 8 AS typbyval, y.kind AS typtype, y.category AS typcategory, false AS typispreferred,
  true AS typisdefined, ',' AS typdelim, 0::BIGINT AS typrelid,
  CASE WHEN y.item <> 0 THEN 'array_subscript_handler' ELSE '-' END AS typsubscript, y.item AS typelem,
  y.array AS typarray, io_function_(y.name, y.item, 'in') AS typinput, io_function_(y.name, y.item, 'out') AS typoutput,
  io_function_(y.name, y.item, 'recv') AS typreceive, io_function_(y.name, y.item, 'send') AS typsend, '-' AS typmodin, '-' AS typmodout,
  '-' AS typanalyze, 'i' AS typalign, 'x' AS typstorage, false AS typnotnull, 0::BIGINT AS typbasetype,
  -1 AS typtypmod, 0 AS typndims, (CASE WHEN y.oid IN (25, 1043) THEN 100 ELSE 0 END)::BIGINT AS typcollation,
  NULL::VARCHAR AS typdefaultbin, NULL::VARCHAR AS typdefault, NULL::VARCHAR[] AS typacl
FROM shown.types y;
CREATE VIEW pgc.pg_proc AS
SELECT f.oid, f.name AS proname, 2200::BIGINT AS pronamespace, 10::BIGINT AS proowner, 12::BIGINT AS prolang,
  100::FLOAT AS procost, 0::FLOAT AS prorows, 0::BIGINT AS provariadic, '-' AS prosupport, 'f' AS prokind,
  false AS prosecdef, false AS proleakproof, false AS proisstrict, true AS proretset, 's' AS provolatile,
  's' AS proparallel, len(f.arguments)::SMALLINT AS pronargs, 0::SMALLINT AS pronargdefaults,
  2249::BIGINT AS prorettype, list_transform(f.arguments, lambda a: 25::BIGINT) AS proargtypes,
  NULL::BIGINT[] AS proallargtypes, NULL::VARCHAR[] AS proargmodes, f.arguments AS proargnames,
  NULL::VARCHAR AS proargdefaults, NULL::BIGINT[] AS protrftypes, f.definition AS prosrc, NULL::VARCHAR AS probin,
  NULL::VARCHAR AS prosqlbody, NULL::VARCHAR[] AS proconfig, NULL::VARCHAR[] AS proacl
FROM shown.functions f;
CREATE TABLE pgc.pg_language AS
SELECT 12::BIGINT AS oid, 'sql' AS lanname, 10::BIGINT AS lanowner, false AS lanispl, true AS lanpltrusted,
  0::BIGINT AS lanplcallfoid, 0::BIGINT AS laninline, 2248::BIGINT AS lanvalidator, NULL::VARCHAR[] AS lanacl;
CREATE TABLE pgc.pg_collation AS
SELECT * FROM (VALUES (100::BIGINT, 'default', 11::BIGINT, 10::BIGINT, 'd', true, -1, NULL::VARCHAR, NULL::VARCHAR, NULL::VARCHAR,
    NULL::VARCHAR, NULL::VARCHAR),
  (950, 'C', 11, 10, 'c', true, -1, 'C', 'C', NULL, NULL, NULL))
  AS t(oid, collname, collnamespace, collowner, collprovider, collisdeterministic, collencoding, collcollate,
    collctype, colliculocale, collicurules, collversion);
CREATE TABLE pgc.pg_am AS
SELECT * FROM (VALUES (2::BIGINT, 'heap', 'heap_tableam_handler', 't'), (403, 'btree', 'bthandler', 'i'))
  AS t(oid, amname, amhandler, amtype);
CREATE VIEW pgc.pg_tables AS
SELECT NULL::VARCHAR AS schemaname, NULL::VARCHAR AS tablename, NULL::VARCHAR AS tableowner,
  NULL::VARCHAR AS tablespace, false AS hasindexes, false AS hasrules, false AS hastriggers, false AS rowsecurity
WHERE false;
CREATE TABLE pgc.pg_timezone_names AS
SELECT 'UTC' AS name, 'UTC' AS abbrev, INTERVAL 0 SECOND AS utc_offset, false AS is_dst;
CREATE TABLE pgc.pg_timezone_abbrevs AS
SELECT 'UTC' AS abbrev, INTERVAL 0 SECOND AS utc_offset, false AS is_dst;
CREATE VIEW pgc.pg_stat_activity AS
SELECT 5::BIGINT AS datid, session_database_() AS datname, pg_backend_pid() AS pid, NULL::INTEGER AS leader_pid,
  10::BIGINT AS usesysid, session_user_() AS usename, '' AS application_name, NULL::VARCHAR AS client_addr,
  NULL::VARCHAR AS client_hostname, NULL::INTEGER AS client_port, now() AS backend_start, now() AS xact_start,
  now() AS query_start, now() AS state_change, NULL::VARCHAR AS wait_event_type, NULL::VARCHAR AS wait_event,
  'active' AS state, NULL::BIGINT AS backend_xid, NULL::BIGINT AS backend_xmin, NULL::BIGINT AS query_id, '' AS query,
  'client backend' AS backend_type;
CREATE VIEW pgc.pg_stat_ssl AS
SELECT pg_backend_pid() AS pid, false AS ssl, NULL::VARCHAR AS version, NULL::VARCHAR AS cipher, NULL::INTEGER AS bits,
  NULL::VARCHAR AS client_dn, NULL::VARCHAR AS client_serial, NULL::VARCHAR AS issuer_dn;

-- What a database of views has none of.
CREATE TABLE pgc.pg_attrdef(oid BIGINT, adrelid BIGINT, adnum SMALLINT, adbin VARCHAR);
CREATE TABLE pgc.pg_index(indexrelid BIGINT, indrelid BIGINT, indnatts SMALLINT, indnkeyatts SMALLINT,
  indisunique BOOLEAN, indnullsnotdistinct BOOLEAN, indisprimary BOOLEAN, indisexclusion BOOLEAN, indimmediate BOOLEAN,
  indisclustered BOOLEAN, indisvalid BOOLEAN, indcheckxmin BOOLEAN, indisready BOOLEAN, indislive BOOLEAN,
  indisreplident BOOLEAN, indkey SMALLINT[], indcollation BIGINT[], indclass BIGINT[], indoption SMALLINT[],
  indexprs VARCHAR, indpred VARCHAR);
CREATE TABLE pgc.pg_constraint(oid BIGINT, conname VARCHAR, connamespace BIGINT, contype VARCHAR, condeferrable
    BOOLEAN,
  condeferred BOOLEAN, convalidated BOOLEAN, conrelid BIGINT, contypid BIGINT, conindid BIGINT, conparentid BIGINT,
  confrelid BIGINT, confupdtype VARCHAR, confdeltype VARCHAR, confmatchtype VARCHAR, conislocal BOOLEAN,
  coninhcount SMALLINT, connoinherit BOOLEAN, conkey SMALLINT[], confkey SMALLINT[], conpfeqop BIGINT[],
  conppeqop BIGINT[], conffeqop BIGINT[], confdelsetcols SMALLINT[], conexclop BIGINT[], conbin VARCHAR);
CREATE TABLE pgc.pg_inherits(inhrelid BIGINT, inhparent BIGINT, inhseqno INTEGER, inhdetachpending BOOLEAN);
CREATE TABLE pgc.pg_trigger(oid BIGINT, tgrelid BIGINT, tgparentid BIGINT, tgname VARCHAR, tgfoid BIGINT,
  tgtype SMALLINT, tgenabled VARCHAR, tgisinternal BOOLEAN, tgconstrrelid BIGINT, tgconstrindid BIGINT,
  tgconstraint BIGINT, tgdeferrable BOOLEAN, tginitdeferred BOOLEAN, tgnargs SMALLINT, tgattr SMALLINT[], tgargs BLOB,
  tgqual VARCHAR, tgoldtable VARCHAR, tgnewtable VARCHAR);
CREATE TABLE pgc.pg_rewrite(oid BIGINT, rulename VARCHAR, ev_class BIGINT, ev_type VARCHAR, ev_enabled VARCHAR,
  is_instead BOOLEAN, ev_qual VARCHAR, ev_action VARCHAR);
CREATE TABLE pgc.pg_rules(schemaname VARCHAR, tablename VARCHAR, rulename VARCHAR, definition VARCHAR);
CREATE TABLE pgc.pg_policy(oid BIGINT, polname VARCHAR, polrelid BIGINT, polcmd VARCHAR, polpermissive BOOLEAN,
  polroles BIGINT[], polqual VARCHAR, polwithcheck VARCHAR);
CREATE TABLE pgc.pg_policies(schemaname VARCHAR, tablename VARCHAR, policyname VARCHAR, permissive VARCHAR,
  roles VARCHAR[], cmd VARCHAR, qual VARCHAR, with_check VARCHAR);
CREATE TABLE pgc.pg_statistic_ext(oid BIGINT, stxrelid BIGINT, stxname VARCHAR, stxnamespace BIGINT, stxowner BIGINT,
  stxstattarget INTEGER, stxkeys SMALLINT[], stxkind VARCHAR[], stxexprs VARCHAR);
CREATE TABLE pgc.pg_publication(oid BIGINT, pubname VARCHAR, pubowner BIGINT, puballtables BOOLEAN, pubinsert BOOLEAN,
  pubupdate BOOLEAN, pubdelete BOOLEAN, pubtruncate BOOLEAN, pubviaroot BOOLEAN);
CREATE TABLE pgc.pg_publication_rel(oid BIGINT, prpubid BIGINT, prrelid BIGINT, prqual VARCHAR, prattrs SMALLINT[]);
CREATE TABLE pgc.pg_publication_namespace(oid BIGINT, pnpubid BIGINT, pnnspid BIGINT);
CREATE TABLE pgc.pg_publication_tables(pubname VARCHAR, schemaname VARCHAR, tablename VARCHAR);
CREATE TABLE pgc.pg_subscription(oid BIGINT, subdbid BIGINT, subname VARCHAR, subowner BIGINT, subenabled BOOLEAN);
CREATE TABLE pgc.pg_enum(oid BIGINT, enumtypid BIGINT, enumsortorder FLOAT, enumlabel VARCHAR);
CREATE TABLE pgc.pg_range(rngtypid BIGINT, rngsubtype BIGINT, rngmultitypid BIGINT, rngcollation BIGINT,
  rngsubopc BIGINT, rngcanonical VARCHAR, rngsubdiff VARCHAR);
CREATE TABLE pgc.pg_depend(classid BIGINT, objid BIGINT, objsubid INTEGER, refclassid BIGINT, refobjid BIGINT,
  refobjsubid INTEGER, deptype VARCHAR);
CREATE TABLE pgc.pg_shdepend(dbid BIGINT, classid BIGINT, objid BIGINT, objsubid INTEGER, refclassid BIGINT,
  refobjid BIGINT, deptype VARCHAR);
CREATE TABLE pgc.pg_shdescription(objoid BIGINT, classoid BIGINT, description VARCHAR);
CREATE TABLE pgc.pg_seclabel(objoid BIGINT, classoid BIGINT, objsubid INTEGER, provider VARCHAR, label VARCHAR);
CREATE TABLE pgc.pg_auth_members(oid BIGINT, roleid BIGINT, member BIGINT, grantor BIGINT, admin_option BOOLEAN,
  inherit_option BOOLEAN, set_option BOOLEAN);
CREATE TABLE pgc.pg_db_role_setting(setdatabase BIGINT, setrole BIGINT, setconfig VARCHAR[]);
CREATE TABLE pgc.pg_default_acl(oid BIGINT, defaclrole BIGINT, defaclnamespace BIGINT, defaclobjtype VARCHAR,
  defaclacl VARCHAR[]);
CREATE TABLE pgc.pg_extension(oid BIGINT, extname VARCHAR, extowner BIGINT, extnamespace BIGINT, extrelocatable
    BOOLEAN,
  extversion VARCHAR, extconfig BIGINT[], extcondition VARCHAR[]);
CREATE TABLE pgc.pg_available_extensions(name VARCHAR, default_version VARCHAR, installed_version VARCHAR,
  comment VARCHAR);
CREATE TABLE pgc.pg_foreign_data_wrapper(oid BIGINT, fdwname VARCHAR, fdwowner BIGINT, fdwhandler BIGINT,
  fdwvalidator BIGINT, fdwacl VARCHAR[], fdwoptions VARCHAR[]);
CREATE TABLE pgc.pg_foreign_server(oid BIGINT, srvname VARCHAR, srvowner BIGINT, srvfdw BIGINT, srvtype VARCHAR,
  srvversion VARCHAR, srvacl VARCHAR[], srvoptions VARCHAR[]);
CREATE TABLE pgc.pg_foreign_table(ftrelid BIGINT, ftserver BIGINT, ftoptions VARCHAR[]);
CREATE TABLE pgc.pg_user_mapping(oid BIGINT, umuser BIGINT, umserver BIGINT, umoptions VARCHAR[]);
CREATE TABLE pgc.pg_partitioned_table(partrelid BIGINT, partstrat VARCHAR, partnatts SMALLINT, partdefid BIGINT,
  partattrs SMALLINT[], partclass BIGINT[], partcollation BIGINT[], partexprs VARCHAR);
CREATE TABLE pgc.pg_event_trigger(oid BIGINT, evtname VARCHAR, evtevent VARCHAR, evtowner BIGINT, evtfoid BIGINT,
  evtenabled VARCHAR, evttags VARCHAR[]);
CREATE TABLE pgc.pg_cast(oid BIGINT, castsource BIGINT, casttarget BIGINT, castfunc BIGINT, castcontext VARCHAR,
  castmethod VARCHAR);
CREATE TABLE pgc.pg_conversion(oid BIGINT, conname VARCHAR, connamespace BIGINT, conowner BIGINT,
  conforencoding INTEGER, contoencoding INTEGER, conproc VARCHAR, condefault BOOLEAN);
CREATE TABLE pgc.pg_operator(oid BIGINT, oprname VARCHAR, oprnamespace BIGINT, oprowner BIGINT, oprkind VARCHAR,
  oprcanmerge BOOLEAN, oprcanhash BOOLEAN, oprleft BIGINT, oprright BIGINT, oprresult BIGINT, oprcom BIGINT,
  oprnegate BIGINT, oprcode VARCHAR, oprrest VARCHAR, oprjoin VARCHAR);
CREATE TABLE pgc.pg_opclass(oid BIGINT, opcmethod BIGINT, opcname VARCHAR, opcnamespace BIGINT, opcowner BIGINT,
  opcfamily BIGINT, opcintype BIGINT, opcdefault BOOLEAN, opckeytype BIGINT);
CREATE TABLE pgc.pg_aggregate(aggfnoid VARCHAR, aggkind VARCHAR, aggnumdirectargs SMALLINT, aggtransfn VARCHAR,
  aggfinalfn VARCHAR, aggcombinefn VARCHAR, aggtranstype BIGINT);
CREATE TABLE pgc.pg_sequence(seqrelid BIGINT, seqtypid BIGINT, seqstart BIGINT, seqincrement BIGINT, seqmax BIGINT,
  seqmin BIGINT, seqcache BIGINT, seqcycle BOOLEAN);
CREATE TABLE pgc.pg_sequences(schemaname VARCHAR, sequencename VARCHAR, sequenceowner VARCHAR, data_type VARCHAR,
  start_value BIGINT, min_value BIGINT, max_value BIGINT, increment_by BIGINT, cycle BOOLEAN, cache_size BIGINT,
  last_value BIGINT);
CREATE TABLE pgc.pg_matviews(schemaname VARCHAR, matviewname VARCHAR, matviewowner VARCHAR, tablespace VARCHAR,
  hasindexes BOOLEAN, ispopulated BOOLEAN, definition VARCHAR);
CREATE TABLE pgc.pg_indexes(schemaname VARCHAR, tablename VARCHAR, indexname VARCHAR, tablespace VARCHAR,
  indexdef VARCHAR);
CREATE TABLE pgc.pg_locks(locktype VARCHAR, database BIGINT, relation BIGINT, page INTEGER, tuple SMALLINT,
  virtualxid VARCHAR, transactionid BIGINT, classid BIGINT, objid BIGINT, objsubid SMALLINT, virtualtransaction
    VARCHAR,
  pid INTEGER, mode VARCHAR, granted BOOLEAN, fastpath BOOLEAN, waitstart TIMESTAMP);
CREATE TABLE pgc.pg_prepared_xacts(transaction BIGINT, gid VARCHAR, prepared TIMESTAMP, owner VARCHAR,
  database VARCHAR);
CREATE TABLE pgc.pg_cursors(name VARCHAR, statement VARCHAR, is_holdable BOOLEAN, is_binary BOOLEAN,
  is_scrollable BOOLEAN, creation_time TIMESTAMP);
CREATE TABLE pgc.pg_replication_slots(slot_name VARCHAR, plugin VARCHAR, slot_type VARCHAR, datoid BIGINT,
  database VARCHAR, active BOOLEAN);
CREATE TABLE pgc.pg_stat_replication(pid INTEGER, usesysid BIGINT, usename VARCHAR, application_name VARCHAR,
  state VARCHAR);
CREATE TABLE pgc.pg_stat_statements(userid BIGINT, dbid BIGINT, queryid BIGINT, query VARCHAR, calls BIGINT,
  total_exec_time DOUBLE, rows BIGINT);
CREATE TABLE pgc.pg_stat_user_tables(relid BIGINT, schemaname VARCHAR, relname VARCHAR, seq_scan BIGINT,
  seq_tup_read BIGINT, idx_scan BIGINT, idx_tup_fetch BIGINT, n_tup_ins BIGINT, n_tup_upd BIGINT, n_tup_del BIGINT,
  n_live_tup BIGINT, n_dead_tup BIGINT, last_vacuum TIMESTAMP, last_autovacuum TIMESTAMP, last_analyze TIMESTAMP,
  last_autoanalyze TIMESTAMP);
CREATE TABLE pgc.pg_statio_user_tables(relid BIGINT, schemaname VARCHAR, relname VARCHAR, heap_blks_read BIGINT,
  heap_blks_hit BIGINT, idx_blks_read BIGINT, idx_blks_hit BIGINT, toast_blks_read BIGINT, toast_blks_hit BIGINT,
  tidx_blks_read BIGINT, tidx_blks_hit BIGINT);
CREATE TABLE pgc.pg_stat_database(datid BIGINT, datname VARCHAR, numbackends INTEGER, xact_commit BIGINT,
  xact_rollback BIGINT, blks_read BIGINT, blks_hit BIGINT, tup_returned BIGINT, tup_fetched BIGINT);
CREATE TABLE pgc.pg_ts_config(oid BIGINT, cfgname VARCHAR, cfgnamespace BIGINT, cfgowner BIGINT, cfgparser BIGINT);
CREATE TABLE pgc.pg_largeobject_metadata(oid BIGINT, lomowner BIGINT, lomacl VARCHAR[]);
CREATE TABLE pgc.pg_transform(oid BIGINT, trftype BIGINT, trflang BIGINT);

-- Functions. An argument that is left out makes another overload.
CREATE MACRO pgc.type_name_(the_id) AS (SELECT CASE of_type_name.oid
    WHEN 16 THEN 'boolean' WHEN 20 THEN 'bigint' WHEN 21 THEN 'smallint' WHEN 23 THEN 'integer' WHEN 700 THEN 'real'
    WHEN 701 THEN 'double precision' WHEN 1042 THEN 'character' WHEN 1043 THEN 'character varying'
    WHEN 1083 THEN 'time without time zone' WHEN 1114 THEN 'timestamp without time zone'
    WHEN 1184 THEN 'timestamp with time zone' WHEN 1266 THEN 'time with time zone' WHEN 18 THEN '"char"'
    ELSE of_type_name.name END FROM shown.types of_type_name WHERE of_type_name.oid = the_id);
CREATE MACRO pgc.format_type(the_id, the_modifier) AS
  CASE WHEN the_id IS NULL THEN NULL
  WHEN (SELECT of_format_type.item FROM shown.types of_format_type WHERE of_format_type.oid = the_id AND
    of_format_type.category = 'A') <> 0
  THEN type_name_((SELECT of_format_type.item FROM shown.types of_format_type WHERE of_format_type.oid = the_id)) ||
    '[]'
  ELSE coalesce(type_name_(the_id), '???') || CASE
    WHEN the_modifier IS NULL OR the_modifier < 4 THEN ''
    WHEN the_id = 1700 THEN '(' || ((the_modifier - 4) >> 16) || ',' || ((the_modifier - 4) & 65535) || ')'
    WHEN the_id IN (1042, 1043) THEN '(' || (the_modifier - 4) || ')' ELSE '' END END;
CREATE MACRO pgc.pg_get_userbyid(the_id) AS session_user_();
CREATE MACRO pgc.pg_get_expr(the_expression, the_relation) AS the_expression::VARCHAR,
  (the_expression, the_relation, the_pretty) AS the_expression::VARCHAR;
CREATE MACRO pgc.pg_get_viewdef(the_id) AS (SELECT 'SELECT ...'), (the_id, the_pretty) AS (SELECT 'SELECT ...');
CREATE MACRO pgc.pg_get_constraintdef(the_id) AS NULL::VARCHAR, (the_id, the_pretty) AS NULL::VARCHAR;
CREATE MACRO pgc.pg_get_indexdef(the_id) AS NULL::VARCHAR, (the_id, the_number, the_pretty) AS NULL::VARCHAR;
CREATE MACRO pgc.pg_get_triggerdef(the_id) AS NULL::VARCHAR, (the_id, the_pretty) AS NULL::VARCHAR;
CREATE MACRO pgc.pg_get_ruledef(the_id) AS NULL::VARCHAR, (the_id, the_pretty) AS NULL::VARCHAR;
CREATE MACRO pgc.pg_get_partkeydef(the_id) AS NULL::VARCHAR;
CREATE MACRO pgc.pg_get_serial_sequence(the_relation, the_name) AS NULL::VARCHAR;
CREATE MACRO pgc.pg_get_statisticsobjdef_columns(the_id) AS NULL::VARCHAR;
CREATE MACRO pgc.pg_partition_ancestors(the_id) AS unnest([]::BIGINT[]);
CREATE MACRO pgc.pg_get_functiondef(the_id) AS (SELECT of_pg_get_functiondef.definition FROM shown.functions
    of_pg_get_functiondef WHERE of_pg_get_functiondef.oid = the_id);
CREATE MACRO pgc.pg_get_function_arguments(the_id) AS
  (SELECT array_to_string(of_pg_get_function_arguments.arguments, ', ') FROM shown.functions
    of_pg_get_function_arguments WHERE of_pg_get_function_arguments.oid = the_id);
CREATE MACRO pgc.pg_get_function_identity_arguments(the_id) AS pg_get_function_arguments(the_id);
CREATE MACRO pgc.pg_get_function_result(the_id) AS 'SETOF record';
CREATE MACRO pgc.pg_get_function_sqlbody(the_id) AS NULL::VARCHAR;
CREATE MACRO pgc.pg_table_is_visible(the_id) AS true;
CREATE MACRO pgc.pg_type_is_visible(the_id) AS true;
CREATE MACRO pgc.pg_function_is_visible(the_id) AS true;
CREATE MACRO pgc.pg_collation_is_visible(the_id) AS true;
CREATE MACRO pgc.pg_operator_is_visible(the_id) AS true;
CREATE MACRO pgc.pg_opclass_is_visible(the_id) AS true;
CREATE MACRO pgc.pg_conversion_is_visible(the_id) AS true;
CREATE MACRO pgc.pg_statistics_obj_is_visible(the_id) AS true;
CREATE MACRO pgc.pg_ts_config_is_visible(the_id) AS true;
CREATE MACRO pgc.array_remove(the_list, the_item) AS list_filter(the_list, lambda item_: item_ IS DISTINCT FROM the_item);
CREATE MACRO pgc.getdatabaseencoding() AS 'UTF8';
CREATE MACRO pgc.pg_relation_is_publishable(the_id) AS false;
CREATE MACRO pgc.pg_is_other_temp_schema(the_id) AS false;
CREATE MACRO pgc.pg_my_temp_schema() AS 0::BIGINT;
CREATE MACRO pgc.pg_encoding_to_char(the_number) AS CASE the_number WHEN 6 THEN 'UTF8' ELSE '' END;
CREATE MACRO pgc.pg_char_to_encoding(the_name) AS CASE WHEN upper(the_name) IN ('UTF8', 'UTF-8') THEN 6 ELSE -1 END;
CREATE MACRO pgc.pg_is_in_recovery() AS false;
CREATE MACRO pgc.pg_is_wal_replay_paused() AS false;
CREATE MACRO pgc.pg_conf_load_time() AS pg_postmaster_start_time();
CREATE MACRO pgc.pg_tablespace_location(the_id) AS '';
CREATE MACRO pgc.pg_size_pretty(the_bytes) AS CASE
  WHEN abs(the_bytes) < 10240 THEN the_bytes || ' bytes' WHEN abs(the_bytes) < 10485760 THEN round(the_bytes /
    1024)::BIGINT || ' kB'
  WHEN abs(the_bytes) < 10737418240 THEN round(the_bytes / 1048576)::BIGINT || ' MB'
  ELSE round(the_bytes / 1073741824)::BIGINT || ' GB' END;
CREATE MACRO pgc.pg_relation_size(the_id) AS 0::BIGINT, (the_id, the_fork) AS 0::BIGINT;
CREATE MACRO pgc.pg_table_size(the_id) AS 0::BIGINT;
CREATE MACRO pgc.pg_indexes_size(the_id) AS 0::BIGINT;
CREATE MACRO pgc.pg_total_relation_size(the_id) AS 0::BIGINT;
CREATE MACRO pgc.pg_database_size(the_id) AS 0::BIGINT;
CREATE MACRO pgc.pg_tablespace_size(the_id) AS 0::BIGINT;
CREATE MACRO pgc.pg_stat_get_numscans(the_id) AS 0::BIGINT;
CREATE MACRO pgc.txid_current() AS 1::BIGINT;
CREATE MACRO pgc.pg_current_xact_id() AS 1::BIGINT;
CREATE MACRO pgc.age(the_id) AS 0;
CREATE MACRO pgc.obj_description(the_id) AS
    (SELECT of_obj_description.description FROM pgc.pg_description of_obj_description WHERE
    of_obj_description.objoid = the_id AND of_obj_description.objsubid = 0),
  (the_id, the_catalog) AS (SELECT of_obj_description.description FROM pgc.pg_description of_obj_description WHERE
    of_obj_description.objoid = the_id AND of_obj_description.objsubid = 0);
CREATE MACRO pgc.col_description(the_id, the_number) AS
  (SELECT of_col_description.description FROM pgc.pg_description of_col_description WHERE of_col_description.objoid
    = the_id AND of_col_description.objsubid = the_number AND the_number <> 0);
CREATE MACRO pgc.shobj_description(the_id, the_catalog) AS NULL::VARCHAR;
CREATE MACRO pgc.has_schema_privilege(a, b) AS upper(b::VARCHAR) LIKE 'USAGE%',
  (a, b, c) AS upper(c::VARCHAR) LIKE 'USAGE%';
CREATE MACRO pgc.has_database_privilege(a, b) AS upper(b::VARCHAR) LIKE 'CONNECT%',
  (a, b, c) AS upper(c::VARCHAR) LIKE 'CONNECT%';
CREATE MACRO pgc.has_table_privilege(a, b) AS upper(b::VARCHAR) LIKE 'SELECT%',
  (a, b, c) AS upper(c::VARCHAR) LIKE 'SELECT%';
CREATE MACRO pgc.has_any_column_privilege(a, b) AS upper(b::VARCHAR) LIKE 'SELECT%',
  (a, b, c) AS upper(c::VARCHAR) LIKE 'SELECT%';
CREATE MACRO pgc.has_column_privilege(a, b, c) AS upper(c::VARCHAR) LIKE 'SELECT%',
  (a, b, c, d) AS upper(d::VARCHAR) LIKE 'SELECT%';
CREATE MACRO pgc.has_function_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO pgc.has_sequence_privilege(a, b) AS false, (a, b, c) AS false;
CREATE MACRO pgc.has_type_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO pgc.has_language_privilege(a, b) AS true, (a, b, c) AS true;
CREATE MACRO pgc.has_tablespace_privilege(a, b) AS false, (a, b, c) AS false;
CREATE MACRO pgc.has_server_privilege(a, b) AS false, (a, b, c) AS false;
CREATE MACRO pgc.has_foreign_data_wrapper_privilege(a, b) AS false, (a, b, c) AS false;
CREATE MACRO pgc.pg_has_role(a, b) AS true, (a, b, c) AS true;
CREATE MACRO pgc.quote_ident(the_text) AS CASE WHEN regexp_full_match(the_text, '[a-z_][a-z0-9_$]*') THEN the_text
  ELSE '"' || replace(the_text, '"', '""') || '"' END;
CREATE MACRO pgc.parse_ident(the_text) AS list_transform(string_split(the_text, '.'), lambda part_: trim(part_, '"'));
CREATE MACRO pgc.quote_literal(the_text) AS '''' || replace(the_text::VARCHAR, '''', '''''') || '''';
CREATE MACRO pgc.quote_nullable(the_text) AS coalesce(quote_literal(the_text), 'NULL');
CREATE MACRO pgc.array_upper(the_list, the_dimension) AS nullif(len(the_list), 0);
CREATE MACRO pgc.array_lower(the_list, the_dimension) AS CASE WHEN len(the_list) > 0 THEN 1 END;
CREATE MACRO pgc.array_ndims(the_list) AS CASE WHEN len(the_list) > 0 THEN 1 END;
CREATE MACRO pgc.array_position_(the_list, the_item) AS list_position(the_list, the_item);
CREATE MACRO pgc._pg_expandarray(the_list) AS
  unnest(list_transform(range(len(the_list)), lambda i: {'x': the_list[i + 1], 'n': (i + 1)::INTEGER}));
CREATE MACRO pgc.inet_server_addr() AS NULL::VARCHAR;
CREATE MACRO pgc.inet_server_port() AS NULL::INTEGER;
CREATE MACRO pgc.inet_client_addr() AS NULL::VARCHAR;
CREATE MACRO pgc.inet_client_port() AS NULL::INTEGER;
CREATE MACRO pgc.pg_get_keywords() AS TABLE SELECT keyword_name AS word, CASE keyword_category
    WHEN 'reserved' THEN 'R' WHEN 'unreserved' THEN 'U' WHEN 'column_name' THEN 'C' ELSE 'T' END AS catcode,
  true AS barelabel, keyword_category AS catdesc, 'can be bare label' AS baredesc FROM duckdb_keywords();
CREATE MACRO pgc.pg_options_to_table(the_options) AS TABLE
  SELECT NULL::VARCHAR AS option_name, NULL::VARCHAR AS option_value WHERE false;
CREATE MACRO pgc.aclexplode(the_acl) AS TABLE SELECT NULL::BIGINT AS grantor, NULL::BIGINT AS grantee,
  NULL::VARCHAR AS privilege_type, NULL::BOOLEAN AS is_grantable WHERE false;
CREATE MACRO pgc.pg_show_all_settings() AS TABLE SELECT * FROM pgc.pg_settings;

-- Names for numbers and numbers for names: `::regclass` and the like become these.
CREATE MACRO pgc.bare_name_(the_name) AS replace(regexp_extract(the_name::VARCHAR, '([^.]*)$', 1), '"', '');
CREATE MACRO pgc.regclass_oid_(the_name) AS coalesce(try_cast(the_name AS BIGINT),
  (SELECT min(of_regclass_oid.oid) FROM pgc.pg_class of_regclass_oid WHERE of_regclass_oid.relname =
    bare_name_(the_name)));
CREATE MACRO pgc.regclass_name_(the_id) AS
  coalesce((SELECT min(of_regclass_name.relname) FROM pgc.pg_class of_regclass_name WHERE of_regclass_name.oid =
    try_cast(the_id AS BIGINT)), the_id::VARCHAR);
CREATE MACRO pgc.to_regclass(the_name) AS
  (SELECT min(of_to_regclass.relname) FROM pgc.pg_class of_to_regclass WHERE of_to_regclass.relname =
    bare_name_(the_name));
CREATE MACRO pgc.regtype_oid_(the_name) AS coalesce(try_cast(the_name AS BIGINT), (SELECT min(of_regtype_oid.oid)
    FROM shown.types of_regtype_oid
  WHERE of_regtype_oid.name = bare_name_(the_name) OR type_name_(of_regtype_oid.oid) = lower(the_name::VARCHAR)));
CREATE MACRO pgc.regtype_name_(the_id) AS coalesce(type_name_(try_cast(the_id AS BIGINT)),
  CASE try_cast(the_id AS BIGINT) WHEN 0 THEN '-' ELSE format_type(try_cast(the_id AS BIGINT), NULL) END,
    the_id::VARCHAR);
CREATE MACRO pgc.to_regtype(the_name) AS regtype_name_(regtype_oid_(the_name));
CREATE MACRO pgc.regnamespace_oid_(the_name) AS coalesce(try_cast(the_name AS BIGINT),
  (SELECT min(of_regnamespace_oid.oid) FROM pgc.pg_namespace of_regnamespace_oid WHERE of_regnamespace_oid.nspname =
    bare_name_(the_name)));
CREATE MACRO pgc.regnamespace_name_(the_id) AS
  coalesce((SELECT min(of_regnamespace_name.nspname) FROM pgc.pg_namespace of_regnamespace_name WHERE
    of_regnamespace_name.oid = try_cast(the_id AS BIGINT)), the_id::VARCHAR);
CREATE MACRO pgc.regrole_oid_(the_name) AS 10::BIGINT;
CREATE MACRO pgc.regrole_name_(the_id) AS session_user_();
CREATE MACRO pgc.regproc_oid_(the_name) AS bare_name_(the_name);
CREATE MACRO pgc.regproc_number_(the_name) AS coalesce(try_cast(the_name AS BIGINT),
  (SELECT min(of_regproc_number.oid) FROM shown.functions of_regproc_number WHERE of_regproc_number.name =
    bare_name_(split_part(the_name::VARCHAR, '(', 1))));
CREATE MACRO pgc.regproc_name_(the_id) AS
  coalesce((SELECT min(of_regproc_name.name) FROM shown.functions of_regproc_name WHERE of_regproc_name.oid =
    try_cast(the_id AS BIGINT)), bare_name_(the_id));

-- The information schema.
CREATE VIEW infos.tables AS
SELECT session_database_() AS table_catalog, 'public' AS table_schema, t.name AS table_name, 'VIEW' AS table_type,
  NULL::VARCHAR AS self_referencing_column_name, NULL::VARCHAR AS reference_generation,
  NULL::VARCHAR AS user_defined_type_catalog, NULL::VARCHAR AS user_defined_type_schema,
  NULL::VARCHAR AS user_defined_type_name, 'NO' AS is_insertable_into, 'NO' AS is_typed,
  NULL::VARCHAR AS commit_action
FROM shown.tables t;
CREATE VIEW infos.views AS
SELECT session_database_() AS table_catalog, 'public' AS table_schema, t.name AS table_name,
  'SELECT ...' AS view_definition, 'NONE' AS check_option, 'NO' AS is_updatable, 'NO' AS is_insertable_into,
  'NO' AS is_trigger_updatable, 'NO' AS is_trigger_deletable, 'NO' AS is_trigger_insertable_into
FROM shown.tables t;
CREATE VIEW infos.columns AS
SELECT session_database_() AS table_catalog, 'public' AS table_schema, t.name AS table_name, c.name AS column_name,
  c.number::INTEGER AS ordinal_position, NULL::VARCHAR AS column_default, 'YES' AS is_nullable,
  CASE WHEN y.category = 'A' THEN 'ARRAY' ELSE type_name_(c.type) END AS data_type,
  NULL::INTEGER AS character_maximum_length, CASE WHEN c.type = 25 THEN 1073741824 END AS character_octet_length,
  CASE c.type WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53
    WHEN 1700 THEN CASE WHEN c.modifier >= 4 THEN (c.modifier - 4) >> 16 END END::INTEGER AS numeric_precision,
  CASE c.type WHEN 700 THEN 2 WHEN 701 THEN 2 WHEN 1700 THEN 10 WHEN 20 THEN 2 WHEN 21 THEN 2 WHEN 23 THEN 2
    END AS numeric_precision_radix,
  CASE WHEN c.type IN (20, 21, 23) THEN 0 WHEN c.type = 1700 AND c.modifier >= 4 THEN (c.modifier - 4) & 65535
    END::INTEGER AS numeric_scale,
  CASE WHEN c.type IN (1184, 1083) THEN 6 WHEN c.type = 1082 THEN 0 END AS datetime_precision,
  NULL::VARCHAR AS interval_type, NULL::INTEGER AS interval_precision, NULL::VARCHAR AS character_set_catalog,
  NULL::VARCHAR AS character_set_schema, NULL::VARCHAR AS character_set_name, NULL::VARCHAR AS collation_catalog,
  NULL::VARCHAR AS collation_schema, NULL::VARCHAR AS collation_name, NULL::VARCHAR AS domain_catalog,
  NULL::VARCHAR AS domain_schema, NULL::VARCHAR AS domain_name, session_database_() AS udt_catalog,
  'pg_catalog' AS udt_schema, y.name AS udt_name, NULL::VARCHAR AS scope_catalog, NULL::VARCHAR AS scope_schema,
  NULL::VARCHAR AS scope_name, NULL::INTEGER AS maximum_cardinality, c.number::VARCHAR AS dtd_identifier,
  'NO' AS is_self_referencing, 'NO' AS is_identity, NULL::VARCHAR AS identity_generation,
  NULL::VARCHAR AS identity_start, NULL::VARCHAR AS identity_increment, NULL::VARCHAR AS identity_maximum,
  NULL::VARCHAR AS identity_minimum, 'NO' AS identity_cycle, 'NEVER' AS is_generated,
  NULL::VARCHAR AS generation_expression, 'NO' AS is_updatable
FROM shown.columns c JOIN shown.tables t ON t.oid = c.oid LEFT JOIN shown.types y ON y.oid = c.type;
CREATE VIEW infos.schemata AS
SELECT session_database_() AS catalog_name, nspname AS schema_name, session_user_() AS schema_owner,
  NULL::VARCHAR AS default_character_set_catalog, NULL::VARCHAR AS default_character_set_schema,
  NULL::VARCHAR AS default_character_set_name, NULL::VARCHAR AS sql_path
FROM pgc.pg_namespace;
CREATE VIEW infos.routines AS
SELECT session_database_() AS specific_catalog, 'public' AS specific_schema, f.name || '_' || f.oid AS specific_name,
  session_database_() AS routine_catalog, 'public' AS routine_schema, f.name AS routine_name,
  'FUNCTION' AS routine_type, 'record' AS data_type, 'pg_catalog' AS type_udt_schema, 'record' AS type_udt_name,
  'SQL' AS routine_body, f.definition AS routine_definition, 'SQL' AS external_language
FROM shown.functions f;
CREATE VIEW infos.information_schema_catalog_name AS SELECT session_database_() AS catalog_name;
CREATE VIEW infos.enabled_roles AS SELECT session_user_() AS role_name;
CREATE VIEW infos.applicable_roles AS
SELECT session_user_() AS grantee, session_user_() AS role_name, 'NO' AS is_grantable;
CREATE VIEW infos.table_privileges AS
SELECT session_user_() AS grantor, session_user_() AS grantee, session_database_() AS table_catalog,
  'public' AS table_schema, t.name AS table_name, 'SELECT' AS privilege_type, 'NO' AS is_grantable,
  'YES' AS with_hierarchy
FROM shown.tables t;
CREATE VIEW infos.role_table_grants AS SELECT * FROM infos.table_privileges;
CREATE TABLE infos.table_constraints(constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR,
  table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, constraint_type VARCHAR, is_deferrable VARCHAR,
  initially_deferred VARCHAR, enforced VARCHAR, nulls_distinct VARCHAR);
CREATE TABLE infos.key_column_usage(constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR,
  table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR, ordinal_position INTEGER,
  position_in_unique_constraint INTEGER);
CREATE TABLE infos.constraint_column_usage(table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR,
  column_name VARCHAR, constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR);
CREATE TABLE infos.referential_constraints(constraint_catalog VARCHAR, constraint_schema VARCHAR,
  constraint_name VARCHAR, unique_constraint_catalog VARCHAR, unique_constraint_schema VARCHAR,
  unique_constraint_name VARCHAR, match_option VARCHAR, update_rule VARCHAR, delete_rule VARCHAR);
CREATE TABLE infos.check_constraints(constraint_catalog VARCHAR, constraint_schema VARCHAR, constraint_name VARCHAR,
  check_clause VARCHAR);
CREATE TABLE infos.triggers(trigger_catalog VARCHAR, trigger_schema VARCHAR, trigger_name VARCHAR,
  event_manipulation VARCHAR, event_object_catalog VARCHAR, event_object_schema VARCHAR, event_object_table VARCHAR,
  action_statement VARCHAR, action_timing VARCHAR);
CREATE TABLE infos.sequences(sequence_catalog VARCHAR, sequence_schema VARCHAR, sequence_name VARCHAR,
  data_type VARCHAR, start_value VARCHAR, minimum_value VARCHAR, maximum_value VARCHAR, increment VARCHAR);
CREATE TABLE infos.parameters(specific_catalog VARCHAR, specific_schema VARCHAR, specific_name VARCHAR,
  ordinal_position INTEGER, parameter_mode VARCHAR, parameter_name VARCHAR, data_type VARCHAR);
CREATE TABLE infos.element_types(object_catalog VARCHAR, object_schema VARCHAR, object_name VARCHAR,
  object_type VARCHAR, collection_type_identifier VARCHAR, data_type VARCHAR);
CREATE TABLE infos.domains(domain_catalog VARCHAR, domain_schema VARCHAR, domain_name VARCHAR, data_type VARCHAR);
CREATE TABLE infos.column_privileges(grantor VARCHAR, grantee VARCHAR, table_catalog VARCHAR, table_schema VARCHAR,
  table_name VARCHAR, column_name VARCHAR, privilege_type VARCHAR, is_grantable VARCHAR);
CREATE TABLE infos.view_table_usage(view_catalog VARCHAR, view_schema VARCHAR, view_name VARCHAR,
  table_catalog VARCHAR, table_schema VARCHAR, table_name VARCHAR);
