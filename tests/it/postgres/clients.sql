--- psql: \d spans, as psql 15 to 17 ask
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname OPERATOR(pg_catalog.~) '^(spans)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY 2, 3
--> oid int, nspname text, relname text | rows
---
SELECT c.relchecks, c.relkind, c.relhasindex, c.relhasrules, c.relhastriggers, c.relrowsecurity, c.relforcerowsecurity,
false AS relhasoids, c.relispartition, '', c.reltablespace,
CASE WHEN c.reloftype = 0 THEN '' ELSE c.reloftype::pg_catalog.regtype::pg_catalog.text END, c.relpersistence,
c.relreplident, am.amname
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid)
LEFT JOIN pg_catalog.pg_am am ON (c.relam = am.oid) WHERE c.oid = '{spans}'
--> relchecks int, relkind text, relhasindex bool, relhasrules bool, relhastriggers bool, relrowsecurity bool, relforcerowsecurity bool, relhasoids bool, relispartition bool, ?column? text, reltablespace int, reloftype text, relpersistence text, relreplident text, amname text | rows
---
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
(SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
 WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef LIMIT 1),
a.attnotnull,
(SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
 WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation LIMIT 1) AS attcollation,
a.attidentity, a.attgenerated
FROM pg_catalog.pg_attribute a WHERE a.attrelid = '{spans}' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
--> attname text, format_type text, pg_get_expr text, attnotnull bool, attcollation text, attidentity text, attgenerated text | rows
---
SELECT pol.polname, pol.polpermissive,
CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(
 select rolname from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1), ',') END,
pg_catalog.pg_get_expr(pol.polqual, pol.polrelid), pg_catalog.pg_get_expr(pol.polwithcheck, pol.polrelid),
CASE pol.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END AS cmd
FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '{spans}' ORDER BY 1
--> polname text, polpermissive bool, array_to_string text, pg_get_expr text, pg_get_expr text, cmd text | no rows
---
SELECT oid, stxrelid::pg_catalog.regclass, stxnamespace::pg_catalog.regnamespace::pg_catalog.text AS nsp, stxname,
pg_catalog.pg_get_statisticsobjdef_columns(oid) AS columns, 'd' = any(stxkind) AS ndist_enabled,
'f' = any(stxkind) AS deps_enabled, 'm' = any(stxkind) AS mcv_enabled, stxstattarget
FROM pg_catalog.pg_statistic_ext WHERE stxrelid = '{spans}' ORDER BY nsp, stxname
--> oid int, stxrelid text, nsp text, stxname text, columns text, ndist_enabled bool, deps_enabled bool, mcv_enabled bool, stxstattarget int | no rows
---
SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p
JOIN pg_catalog.pg_publication_namespace pn ON p.oid = pn.pnpubid
JOIN pg_catalog.pg_class pc ON pc.relnamespace = pn.pnnspid
WHERE pc.oid = '{spans}' and pg_catalog.pg_relation_is_publishable('{spans}')
UNION
SELECT pubname, pg_get_expr(pr.prqual, c.oid), (CASE WHEN pr.prattrs IS NOT NULL THEN
 (SELECT string_agg(attname, ', ')
  FROM pg_catalog.generate_series(0, pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s, pg_catalog.pg_attribute
  WHERE attrelid = pr.prrelid AND attnum = prattrs[s]) ELSE NULL END)
FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel pr ON p.oid = pr.prpubid
JOIN pg_catalog.pg_class c ON c.oid = pr.prrelid WHERE pr.prrelid = '{spans}'
UNION
SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p
WHERE p.puballtables AND pg_catalog.pg_relation_is_publishable('{spans}') ORDER BY 1
--> pubname text, ?column? text, ?column? text | no rows
---
SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i
WHERE c.oid = i.inhparent AND i.inhrelid = '{spans}' AND c.relkind != 'p' AND c.relkind != 'I' ORDER BY inhseqno
--> oid text | no rows
---
SELECT c.oid::pg_catalog.regclass, c.relkind, inhdetachpending, pg_catalog.pg_get_expr(c.relpartbound, c.oid)
FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i WHERE c.oid = i.inhrelid AND i.inhparent = '{spans}'
ORDER BY pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', c.oid::pg_catalog.regclass::pg_catalog.text
--> oid text, relkind text, inhdetachpending bool, pg_get_expr text | no rows
--- psql: \d, \dt, \dv
SELECT n.nspname as "Schema", c.relname as "Name", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view'
 WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' WHEN 't' THEN 'TOAST table'
 WHEN 'f' THEN 'foreign table' WHEN 'p' THEN 'partitioned table' WHEN 'I' THEN 'partitioned index' END as "Type",
pg_catalog.pg_get_userbyid(c.relowner) as "Owner"
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast'
AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2
--> Schema text, Name text, Type text, Owner text | rows
--- psql: \df
SELECT n.nspname as "Schema", p.proname as "Name", pg_catalog.pg_get_function_result(p.oid) as "Result data type",
pg_catalog.pg_get_function_arguments(p.oid) as "Argument data types",
CASE p.prokind WHEN 'a' THEN 'agg' WHEN 'w' THEN 'window' WHEN 'p' THEN 'proc' ELSE 'func' END as "Type"
FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE pg_catalog.pg_function_is_visible(p.oid) AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'
ORDER BY 1, 2, 4
--> Schema text, Name text, Result data type text, Argument data types text, Type text | rows
--- psql: \l
SELECT d.datname as "Name", pg_catalog.pg_get_userbyid(d.datdba) as "Owner",
pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding", d.datcollate as "Collate", d.datctype as "Ctype",
d.daticulocale as "ICU Locale",
CASE d.datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' END AS "Locale Provider",
pg_catalog.array_to_string(d.datacl, E'\n') AS "Access privileges" FROM pg_catalog.pg_database d ORDER BY 1
--> Name text, Owner text, Encoding text, Collate text, Ctype text, ICU Locale text, Locale Provider text, Access privileges text | rows
--- psql: \dn
SELECT n.nspname AS "Name", pg_catalog.pg_get_userbyid(n.nspowner) AS "Owner" FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1
--> Name text, Owner text | rows
--- psql: \du
SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolconnlimit,
r.rolvaliduntil, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m
 JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid) as memberof, r.rolreplication, r.rolbypassrls
FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1
--> rolname text, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, rolcanlogin bool, rolconnlimit int, rolvaliduntil time, memberof text[], rolreplication bool, rolbypassrls bool | rows
--- psql
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid,
true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull,
(SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t WHERE c.oid = a.attcollation AND t.oid =
a.atttypid AND a.attcollation <> t.typcollation) AS attcollation, a.attidentity, a.attgenerated FROM
pg_catalog.pg_attribute a WHERE a.attrelid = '{spans}' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
--> attname text, format_type text, pg_get_expr text, attnotnull bool, attcollation text, attidentity text, attgenerated text | rows
---
SELECT d.datname as "Name", pg_catalog.pg_get_userbyid(d.datdba) as "Owner",
pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding", CASE d.datlocprovider WHEN 'b' THEN 'builtin' WHEN 'c' THEN
'libc' WHEN 'i' THEN 'icu' END AS "Locale Provider", d.datcollate as "Collate", d.datctype as "Ctype", d.daticulocale
as "Locale", d.daticurules as "ICU Rules", CASE WHEN pg_catalog.array_length(d.datacl, 1) = 0 THEN '(none)' ELSE
pg_catalog.array_to_string(d.datacl, E'\n') END AS "Access privileges" FROM pg_catalog.pg_database d ORDER BY 1
--! Name text, Owner text, Encoding text, Locale Provider text, Collate text, Ctype text, Locale text, ICU Rules text, Access privileges text | rows # columns of PostgreSQL 16
---
SELECT true as sametable, conname, pg_catalog.pg_get_constraintdef(r.oid, true) as condef,
conrelid::pg_catalog.regclass AS ontable FROM pg_catalog.pg_constraint r WHERE r.conrelid = '{spans}' AND r.contype =
'f' AND conparentid = 0 ORDER BY conname
--> sametable bool, conname text, condef text, ontable text | no rows
---
SELECT conname, conrelid::pg_catalog.regclass AS ontable, pg_catalog.pg_get_constraintdef(oid, true) AS condef FROM
pg_catalog.pg_constraint c WHERE confrelid IN (SELECT pg_catalog.pg_partition_ancestors('{spans}') UNION ALL VALUES
('{spans}'::pg_catalog.regclass)) AND contype = 'f' AND conparentid = 0 ORDER BY conname
--> conname text, ontable text, condef text | no rows
--- DBeaver
SELECT current_schema(),session_user
--> current_schema text, session_user text | rows
---
SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass
ORDER BY nspname
--> oid int, oid int, nspname text, nspowner int, nspacl text[], description text | rows
---
SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = 1034
--> ?column? bool, nspname text, typname text | rows
---
SET extra_float_digits = 3
--> nothing
---
SET application_name = 'PostgreSQL JDBC Driver'
--> nothing
---
SET application_name = 'DBeaver 25.1.5 - Main <postgres>'
--> nothing
---
SHOW search_path
--> search_path text | rows
---
SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,
pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN
pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass WHERE
c.relnamespace=11 AND c.relkind not in ('i','I','c')
--> oid int, oid int, relname text, relnamespace int, reltype int, reloftype int, relowner int, relam int, relfilenode int, reltablespace int, relpages int, reltuples float, relallvisible int, reltoastrelid int, relhasindex bool, relisshared bool, relpersistence text, relkind text, relnatts int, relchecks int, relhasrules bool, relhastriggers bool, relhassubclass bool, relrowsecurity bool, relforcerowsecurity bool, relispopulated bool, relreplident text, relispartition bool, relrewrite int, relfrozenxid int, relminmxid int, relacl text[], reloptions text[], relpartbound text, description text, partition_expr text, partition_key text | rows
---
select c.oid,pg_catalog.pg_total_relation_size(c.oid) as total_rel_size,pg_catalog.pg_relation_size(c.oid) as rel_size
FROM pg_class c WHERE c.relnamespace='public'::regnamespace
--> oid int, total_rel_size int, rel_size int | rows
---
SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as
tabrelname,dsc.description,pg_catalog.pg_get_expr(i.indpred, i.indrelid) as
pred_expr,pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,pg_catalog.pg_relation_size(i.indexrelid) as
index_rel_size,pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans FROM pg_catalog.pg_index i INNER JOIN
pg_catalog.pg_class c ON c.oid=i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid LEFT OUTER JOIN
pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid WHERE i.indrelid={spans} ORDER BY tabrelname, c.relname
--> indexrelid int, indrelid int, indnatts int, indnkeyatts int, indisunique bool, indnullsnotdistinct bool, indisprimary bool, indisexclusion bool, indimmediate bool, indisclustered bool, indisvalid bool, indcheckxmin bool, indisready bool, indislive bool, indisreplident bool, indkey int[], indcollation int[], indclass int[], indoption int[], indexprs text, indpred text, keys int[], relname text, relnamespace int, relam int, reltablespace int, tabrelname text, description text, pred_expr text, expr text, index_rel_size int, index_num_scans int | no rows
---
SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description, case when c.contype='c' then
"substring"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy FROM pg_catalog.pg_constraint c INNER JOIN
pg_catalog.pg_class t ON t.oid=c.conrelid LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid LEFT OUTER JOIN
pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_constraint'::regclass WHERE
c.conrelid={spans} ORDER BY c.oid
--> oid int, oid int, conname text, connamespace int, contype text, condeferrable bool, condeferred bool, convalidated bool, conrelid int, contypid int, conindid int, conparentid int, confrelid int, confupdtype text, confdeltype text, confmatchtype text, conislocal bool, coninhcount int, connoinherit bool, conkey int[], confkey int[], conpfeqop int[], conppeqop int[], conffeqop int[], confdelsetcols int[], conexclop int[], conbin text, tabrelname text, refnamespace int, description text, consrc_copy text | no rows
---
SELECT db.datname FROM pg_catalog.pg_database AS db WHERE datallowconn
--> datname text | rows
---
SELECT a.oid, a.* FROM pg_catalog.pg_roles AS a
--> oid int, rolname text, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, rolcanlogin bool, rolreplication bool, rolconnlimit int, rolpassword text, rolvaliduntil time, rolbypassrls bool, rolconfig text[], oid int | rows
---
SELECT am.oid, am.* FROM pg_catalog.pg_am AS am
--> oid int, oid int, amname text, amhandler text, amtype text | rows
---
SELECT c.oid, c.* FROM pg_catalog.pg_collation AS c
--! oid int, oid int, collname text, collnamespace int, collowner int, collprovider text, collisdeterministic bool, collencoding int, collcollate text, collctype text, colliculocale text, collicurules text, collversion text | rows # a column of PostgreSQL 16
---
SELECT t.oid, t.* FROM pg_catalog.pg_tablespace AS t
--> oid int, oid int, spcname text, spcowner int, spcacl text[], spcoptions text[] | rows
---
SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace AS n LEFT JOIN pg_catalog.pg_description AS d ON
d.objoid = n.oid
--> oid int, oid int, nspname text, nspowner int, nspacl text[], description text | rows
---
SELECT * FROM pg_catalog.pg_sequences LIMIT 5
--> schemaname text, sequencename text, sequenceowner text, data_type text, start_value int, min_value int, max_value int, increment_by int, cycle bool, cache_size int, last_value int | no rows
---
SELECT e.enumlabel FROM pg_catalog.pg_enum AS e LIMIT 5
--> enumlabel text | no rows
---
SELECT c.oid, c.relname, c.relkind, c.relnamespace, d.description FROM pg_catalog.pg_class AS c LEFT JOIN
pg_catalog.pg_description AS d ON d.objoid = c.oid AND d.objsubid = 0 WHERE c.relkind NOT IN ('i', 'c') LIMIT 20
--> oid int, relname text, relkind text, relnamespace int, description text | rows
---
SELECT c.relname, a.attname, a.atttypid, a.attnum, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value,
dsc.description FROM pg_catalog.pg_attribute AS a INNER JOIN pg_catalog.pg_class AS c ON a.attrelid = c.oid LEFT JOIN
pg_catalog.pg_attrdef AS ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum LEFT JOIN pg_catalog.pg_description AS
dsc ON c.oid = dsc.objoid AND a.attnum = dsc.objsubid WHERE a.attnum > 0 AND NOT a.attisdropped LIMIT 20
--> relname text, attname text, atttypid int, attnum int, def_value text, description text | rows
---
SELECT c.oid, c.conname, c.contype, t.relname AS tabrelname, rt.relnamespace AS refnamespace, d.description FROM
pg_catalog.pg_constraint AS c INNER JOIN pg_catalog.pg_class AS t ON t.oid = c.conrelid LEFT JOIN pg_catalog.pg_class
AS rt ON rt.oid = c.confrelid LEFT JOIN pg_catalog.pg_description AS d ON d.objoid = c.oid AND d.objsubid = 0 LIMIT 20
--! oid int, conname text, contype text, tabrelname text, refnamespace int, description text | no rows # no constraints here
---
SELECT i.indexrelid, i.indrelid, i.indisunique, i.indisprimary, c.relname, tc.relname AS tabrelname, dsc.description
FROM pg_catalog.pg_index AS i INNER JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid INNER JOIN
pg_catalog.pg_class AS tc ON tc.oid = i.indrelid LEFT JOIN pg_catalog.pg_description AS dsc ON i.indexrelid =
dsc.objoid LIMIT 20
--! indexrelid int, indrelid int, indisunique bool, indisprimary bool, relname text, tabrelname text, description text | no rows # no indexes here
---
SELECT p.oid, p.proname, p.pronamespace, p.prorettype FROM pg_catalog.pg_proc AS p LIMIT 20
--> oid int, proname text, pronamespace int, prorettype int | rows
---
SELECT t.oid, t.typname, t.typnamespace, t.typtype, t.typcategory FROM pg_catalog.pg_type AS t WHERE t.typcategory NOT
IN ('A', 'C') LIMIT 20
--> oid int, typname text, typnamespace int, typtype text, typcategory text | rows
---
SELECT i.*, c.relnamespace FROM pg_catalog.pg_inherits AS i, pg_catalog.pg_class AS c WHERE c.oid = i.inhparent LIMIT
5
--> inhrelid int, inhparent int, inhseqno int, inhdetachpending bool, relnamespace int | no rows
---
SELECT sa.* FROM pg_catalog.pg_stat_activity AS sa LIMIT 5
--> datid int, datname text, pid int, leader_pid int, usesysid int, usename text, application_name text, client_addr text, client_hostname text, client_port int, backend_start time, xact_start time, query_start time, state_change time, wait_event_type text, wait_event text, state text, backend_xid int, backend_xmin int, query_id int, query text, backend_type text | rows
---
SELECT description FROM pg_catalog.pg_description JOIN pg_catalog.pg_class ON pg_description.objoid = pg_class.oid
JOIN pg_catalog.pg_namespace ON pg_class.relnamespace = pg_namespace.oid LIMIT 5
--> description text | no rows
---
SELECT pg_get_viewdef(0)
--> pg_get_viewdef text | rows
---
SELECT pg_get_viewdef(0, true)
--> pg_get_viewdef text | rows
---
SELECT * FROM pg_catalog.pg_auth_members LIMIT 5
--! oid int, roleid int, member int, grantor int, admin_option bool, inherit_option bool, set_option bool | no rows # no roles in roles here, and columns of PostgreSQL 16
---
SELECT oc.oid, oc.* FROM pg_catalog.pg_opclass AS oc LIMIT 5
--! oid int, oid int, opcmethod int, opcname text, opcnamespace int, opcowner int, opcfamily int, opcintype int, opcdefault bool, opckeytype int | no rows # no indexes here
---
SELECT * FROM pg_catalog.pg_conversion AS c LIMIT 5
--! oid int, conname text, connamespace int, conowner int, conforencoding int, contoencoding int, conproc text, condefault bool | no rows # no conversions here: UTF-8 is the only encoding
---
SELECT l.oid, l.* FROM pg_catalog.pg_language AS l
--> oid int, oid int, lanname text, lanowner int, lanispl bool, lanpltrusted bool, lanplcallfoid int, laninline int, lanvalidator int, lanacl text[] | rows
---
SELECT e.oid, e.* FROM pg_catalog.pg_extension AS e
--! oid int, oid int, extname text, extowner int, extnamespace int, extrelocatable bool, extversion text, extconfig int[], extcondition text[] | no rows # no extensions here
---
SELECT l.oid, l.* FROM pg_catalog.pg_foreign_server AS l
--> oid int, oid int, srvname text, srvowner int, srvfdw int, srvtype text, srvversion text, srvacl text[], srvoptions text[] | no rows
---
SELECT l.oid, l.*, p.pronamespace AS handler_schema_id FROM pg_catalog.pg_foreign_data_wrapper AS l LEFT JOIN
pg_catalog.pg_proc AS p ON p.oid = l.fdwhandler ORDER BY l.fdwname
--> oid int, oid int, fdwname text, fdwowner int, fdwhandler int, fdwvalidator int, fdwacl text[], fdwoptions text[], handler_schema_id int | no rows
---
SELECT * FROM pg_catalog.pg_foreign_table LIMIT 5
--> ftrelid int, ftserver int, ftoptions text[] | no rows
---
SELECT x.oid, x.*, p.pronamespace AS func_schema_id FROM pg_catalog.pg_trigger AS x LEFT JOIN pg_catalog.pg_proc AS p
ON p.oid = x.tgfoid LIMIT 5
--> oid int, oid int, tgrelid int, tgparentid int, tgname text, tgfoid int, tgtype int, tgenabled text, tgisinternal bool, tgconstrrelid int, tgconstrindid int, tgconstraint int, tgdeferrable bool, tginitdeferred bool, tgnargs int, tgattr int[], tgargs bytea, tgqual text, tgoldtable text, tgnewtable text, func_schema_id int | no rows
---
SELECT COALESCE(lock.locktype, '') AS locktype, lock.pid, lock.granted FROM pg_catalog.pg_locks AS lock LIMIT 5
--! locktype text, pid int, granted bool | no rows # nothing is locked here
--- the JDBC driver
SELECT typinput='pg_catalog.array_in'::regproc as is_array, typtype, typname, pg_type.oid FROM pg_catalog.pg_type
LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r from pg_namespace as ns
 join ( select s.r, (current_schemas(false))[s.r] as nspname
  from generate_series(1, array_upper(current_schemas(false), 1)) as s(r) ) as r using ( nspname ) ) as sp
ON sp.nspoid = typnamespace WHERE pg_type.oid = 1034 ORDER BY sp.r, pg_type.oid DESC
--> is_array bool, typtype text, typname text, oid int | rows
---
SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datname='vispyr'
--! oid int, oid int, datname text, datdba int, encoding int, datlocprovider text, datistemplate bool, datallowconn bool, datconnlimit int, datfrozenxid int, datminmxid int, dattablespace int, datcollate text, datctype text, daticulocale text, daticurules text, datcollversion text, datacl text[] | rows # a column of PostgreSQL 16
---
SELECT * FROM pg_catalog.pg_settings where name='standard_conforming_strings'
--> name text, setting text, unit text, category text, short_desc text, extra_desc text, context text, vartype text, source text, min_val text, max_val text, enumvals text[], boot_val text, reset_val text, sourcefile text, sourceline int, pending_restart bool | rows
---
SELECT string_agg(word, ',' ) from pg_catalog.pg_get_keywords()
where word <> ALL ('{a,abs,absolute,action,ada,add,admin,after,all,allocate,alter,always,and,any}'::text[])
--> string_agg text | rows
---
SELECT version()
--> version text | rows
---
SELECT * FROM pg_catalog.pg_enum WHERE 1<>1 LIMIT 1
--> oid int, enumtypid int, enumsortorder float, enumlabel text | no rows
---
SELECT reltype FROM pg_catalog.pg_class WHERE 1<>1 LIMIT 1
--> reltype int | no rows
---
SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description
FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem
LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid
WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c')
AND (et.typcategory IS NULL OR et.typcategory <> 'C')
--> oid int, oid int, typname text, typnamespace int, typowner int, typlen int, typbyval bool, typtype text, typcategory text, typispreferred bool, typisdefined bool, typdelim text, typrelid int, typsubscript text, typelem int, typarray int, typinput text, typoutput text, typreceive text, typsend text, typmodin text, typmodout text, typanalyze text, typalign text, typstorage text, typnotnull bool, typbasetype int, typtypmod int, typndims int, typcollation int, typdefaultbin text, typdefault text, typacl text[], relkind text, base_type_name text, description text | rows
---
SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,
pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0 AND d.classoid='pg_class'::regclass
WHERE c.relnamespace=2200 AND c.relkind not in ('i','I','c')
--! oid int, oid int, relname text, relnamespace int, reltype int, reloftype int, relowner int, relam int, relfilenode int, reltablespace int, relpages int, reltuples float, relallvisible int, reltoastrelid int, relhasindex bool, relisshared bool, relpersistence text, relkind text, relnatts int, relchecks int, relhasrules bool, relhastriggers bool, relhassubclass bool, relrowsecurity bool, relforcerowsecurity bool, relispopulated bool, relreplident text, relispartition bool, relrewrite int, relfrozenxid int, relminmxid int, relacl text[], reloptions text[], relpartbound text, description text, partition_expr text, partition_key text | rows # the schema public is another number in a database where it was made anew
---
SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid
FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i' and dep.refobjsubid = a.attnum
 and dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid={spans} ORDER BY a.attnum
--! relname text, attrelid int, attname text, atttypid int, attlen int, attnum int, attcacheoff int, atttypmod int, attndims int, attbyval bool, attalign text, attstorage text, attcompression text, attnotnull bool, atthasdef bool, atthasmissing bool, attidentity text, attgenerated text, attisdropped bool, attislocal bool, attinhcount int, attstattarget int, attcollation int, attacl text[], attoptions text[], attfdwoptions text[], attmissingval text[], def_value text, description text, objid int | rows # the type of a default, which no column has here
--- pgcli
SELECT * FROM unnest(current_schemas(true))
--> unnest text | rows
---
SELECT nspname FROM pg_catalog.pg_namespace ORDER BY 1
--> nspname text | rows
---
SELECT n.nspname schema_name, c.relname table_name FROM pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = ANY('{r,p,f}') ORDER BY 1,2
--> schema_name text, table_name text | rows
---
SELECT nsp.nspname schema_name, cls.relname table_name, att.attname column_name,
att.atttypid::regtype::text type_name, att.atthasdef AS has_default,
pg_catalog.pg_get_expr(def.adbin, def.adrelid, true) as default
FROM pg_catalog.pg_attribute att INNER JOIN pg_catalog.pg_class cls ON att.attrelid = cls.oid
INNER JOIN pg_catalog.pg_namespace nsp ON cls.relnamespace = nsp.oid
LEFT OUTER JOIN pg_attrdef def ON def.adrelid = att.attrelid AND def.adnum = att.attnum
WHERE cls.relkind = ANY('{v,m}') AND NOT att.attisdropped AND att.attnum > 0 ORDER BY 1, 2, att.attnum
--> schema_name text, table_name text, column_name text, type_name text, has_default bool, default text | rows
---
SELECT s_p.nspname AS parentschema, t_p.relname AS parenttable,
unnest((select array_agg(attname ORDER BY i) from
 (select unnest(confkey) as attnum, generate_subscripts(confkey, 1) as i) x
 JOIN pg_catalog.pg_attribute c USING(attnum) WHERE c.attrelid = fk.confrelid)) AS parentcolumn,
s_c.nspname AS childschema, t_c.relname AS childtable,
unnest((select array_agg(attname ORDER BY i) from
 (select unnest(conkey) as attnum, generate_subscripts(conkey, 1) as i) x
 JOIN pg_catalog.pg_attribute c USING(attnum) WHERE c.attrelid = fk.conrelid)) AS childcolumn
FROM pg_catalog.pg_constraint fk JOIN pg_catalog.pg_class t_p ON t_p.oid = fk.confrelid
JOIN pg_catalog.pg_namespace s_p ON s_p.oid = t_p.relnamespace JOIN pg_catalog.pg_class t_c ON t_c.oid = fk.conrelid
JOIN pg_catalog.pg_namespace s_c ON s_c.oid = t_c.relnamespace WHERE fk.contype = 'f'
--> parentschema text, parenttable text, parentcolumn text, childschema text, childtable text, childcolumn text | no rows
---
SELECT n.nspname schema_name, t.typname type_name FROM pg_catalog.pg_type t
INNER JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE ( t.typrelid = 0 OR ( SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid ) )
AND NOT EXISTS( SELECT 1 FROM pg_catalog.pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid )
AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' ORDER BY 1, 2
--> schema_name text, type_name text | no rows
---
SELECT d.datname FROM pg_catalog.pg_database d ORDER BY 1
--> datname text | rows
---
SELECT n.nspname schema_name, p.proname func_name, p.proargnames,
COALESCE(proallargtypes::regtype[], proargtypes::regtype[])::text[], p.proargmodes, prorettype::regtype::text return_type,
p.prokind = 'a' is_aggregate, p.prokind = 'w' is_window, p.proretset is_set_returning, d.deptype = 'e' is_extension,
pg_get_expr(proargdefaults, 0) AS arg_defaults
FROM pg_catalog.pg_proc p INNER JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
LEFT JOIN pg_depend d ON d.objid = p.oid and d.deptype = 'e'
WHERE p.prorettype::regtype != 'trigger'::regtype ORDER BY 1, 2
--> schema_name text, func_name text, proargnames text[], coalesce text[], proargmodes text[], return_type text, is_aggregate bool, is_window bool, is_set_returning bool, is_extension bool, arg_defaults text | rows
---
SELECT 1
--> ?column? int | rows
---
set time zone "Asia/Shanghai"
--> nothing
---
SELECT nsp.nspname schema_name, cls.relname table_name, att.attname column_name, att.atttypid::regtype::text
type_name, att.atthasdef AS has_default, pg_catalog.pg_get_expr(def.adbin, def.adrelid, true) as default FROM
pg_catalog.pg_attribute att INNER JOIN pg_catalog.pg_class cls ON att.attrelid = cls.oid INNER JOIN
pg_catalog.pg_namespace nsp ON cls.relnamespace = nsp.oid LEFT OUTER JOIN pg_attrdef def ON def.adrelid = att.attrelid
AND def.adnum = att.attnum WHERE cls.relkind = ANY('{r,p,f}') AND NOT att.attisdropped AND att.attnum > 0 ORDER BY 1,
2, att.attnum
--! schema_name text, table_name text, column_name text, type_name text, has_default bool, default text | no rows # PostgreSQL's own tables are not listed here
---
SELECT n.nspname schema_name, c.relname table_name FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON
n.oid = c.relnamespace WHERE c.relkind = ANY('{v,m}') ORDER BY 1,2
--> schema_name text, table_name text | rows
---
SELECT n.nspname schema_name,
t.typname type_name
FROM   pg_catalog.pg_type t
INNER JOIN pg_catalog.pg_namespace n
ON n.oid = t.typnamespace
WHERE ( t.typrelid = 0  -- non-composite types
OR (  -- composite type, but not a table
SELECT c.relkind = 'c'
FROM pg_catalog.pg_class c
WHERE c.oid = t.typrelid
)
)
AND NOT EXISTS( -- ignore array types
SELECT  1
FROM    pg_catalog.pg_type el
WHERE   el.oid = t.typelem AND el.typarray = t.oid
)
AND n.nspname <> 'pg_catalog'
AND n.nspname <> 'information_schema'
ORDER BY 1, 2
--> schema_name text, type_name text | no rows
--- Metabase
SELECT nspname AS "TABLE_SCHEM", current_database() AS "TABLE_CATALOG" FROM pg_catalog.pg_namespace
WHERE nspname <> 'pg_toast' AND (nspname !~ '^pg_temp_' OR nspname = (pg_catalog.current_schemas(true))[1])
AND (nspname !~ '^pg_toast_temp_' OR nspname = replace((pg_catalog.current_schemas(true))[1], 'pg_temp_', 'pg_toast_temp_'))
ORDER BY "TABLE_SCHEM"
--> TABLE_SCHEM text, TABLE_CATALOG text | rows
---
with table_privileges as (select NULL as role, t.schemaname as schema, t.objectname as table,
pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') as update,
pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'select') as select,
pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'insert') as insert,
pg_catalog.has_table_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'delete') as delete
from (select schemaname, tablename as objectname from pg_catalog.pg_tables
 union select schemaname, viewname as objectname from pg_catalog.pg_views
 union select schemaname, matviewname as objectname from pg_catalog.pg_matviews) t
where t.schemaname !~ '^pg_' and t.schemaname <> 'information_schema'
and pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage'))
select t.* from table_privileges t
--> role text, schema text, table text, update bool, select bool, insert bool, delete bool | rows
---
SELECT "n"."nspname" AS "schema", "c"."relname" AS "name",
CASE "c"."relkind" WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW'
 WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE NULL END AS "type",
"d"."description" AS "description", "stat"."n_live_tup" AS "estimated_row_count"
FROM "pg_catalog"."pg_class" AS "c" INNER JOIN "pg_catalog"."pg_namespace" AS "n" ON "c"."relnamespace" = "n"."oid"
LEFT JOIN "pg_catalog"."pg_description" AS "d" ON ("c"."oid" = "d"."objoid") AND ("d"."objsubid" = '0')
 AND ("d"."classoid" = 'pg_class'::regclass)
LEFT JOIN "pg_stat_user_tables" AS "stat" ON ("n"."nspname" = "stat"."schemaname") AND ("c"."relname" = "stat"."relname")
WHERE ("c"."relnamespace" = "n"."oid") AND ("n"."nspname" !~ '^pg_') AND ("n"."nspname" <> 'information_schema')
AND c.relkind in ('r', 'p', 'v', 'f', 'm') AND ("n"."nspname" IN ('public'))
ORDER BY "type" ASC, "schema" ASC, "name" ASC
--> schema text, name text, type text, description text, estimated_row_count int | rows
---
SELECT nspname FROM pg_namespace WHERE nspname NOT IN ('information_schema', 'pg_catalog') AND nspname NOT LIKE 'pg_%'
--> nspname text | rows
---
SELECT attname, format_type(atttypid, atttypmod) as type, attnotnull FROM pg_attribute
WHERE attrelid = 'spans'::regclass AND attnum > 0 AND NOT attisdropped
--> attname text, type text, attnotnull bool | rows
---
SET extra_float_digits = 2
--> nothing
---
SET application_name = 'Metabase v0.55.1 [f8f63fdf-d8f8-4573-86ea-4fe4a9548041]'
--> nothing
---
SHOW TRANSACTION ISOLATION LEVEL
--> transaction_isolation text | rows
---
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ UNCOMMITTED
--> nothing
---
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED
--> nothing
---
show timezone
--> TimeZone text | rows
--- DataGrip
select current_database() as a, current_schemas(false) as b
--> a text, b text[] | rows
---
select round(extract(epoch from pg_postmaster_start_time() at time zone 'UTC')) as startup_time
--! startup_time float | rows # extract gives a float here
---
select L.transactionid::varchar::bigint as transaction_id from pg_catalog.pg_locks L
where L.transactionid is not null order by pg_catalog.age(L.transactionid) desc limit 1
--> transaction_id int | no rows
---
select case when pg_catalog.pg_is_in_recovery() then null
else (pg_catalog.txid_current() % 4294967296)::varchar::bigint end as current_txid
--> current_txid int | rows
---
select N.oid::bigint as id, datname as name, D.description, datistemplate as is_template, datallowconn as allow_connections,
pg_catalog.pg_get_userbyid(N.datdba) as "owner" from pg_catalog.pg_database N
left join pg_catalog.pg_shdescription D on N.oid = D.objoid
order by case when datname = pg_catalog.current_database() then -1::bigint else N.oid::bigint end
--> id int, name text, description text, is_template bool, allow_connections bool, owner text | rows
---
select N.oid::bigint as id, N.xmin as state_number, nspname as name, D.description,
pg_catalog.pg_get_userbyid(N.nspowner) as "owner" from pg_catalog.pg_namespace N
left join pg_catalog.pg_description D on N.oid = D.objoid
order by case when nspname = pg_catalog.current_schema() then -1::bigint else N.oid::bigint end
--> id int, state_number int, name text, description text, owner text | rows
---
select name, is_dst from pg_catalog.pg_timezone_names union distinct
select abbrev as name, is_dst from pg_catalog.pg_timezone_abbrevs
--> name text, is_dst bool | rows
---
select R.oid::bigint as role_id, rolname as role_name, rolsuper is_super, rolinherit is_inherit,
rolcreaterole can_createrole, rolcreatedb can_createdb, rolcanlogin can_login, rolreplication is_replication,
rolconnlimit conn_limit, rolvaliduntil valid_until, rolbypassrls bypass_rls, rolconfig config, D.description
from pg_catalog.pg_roles R left join pg_catalog.pg_shdescription D on D.objoid = R.oid
--> role_id int, role_name text, is_super bool, is_inherit bool, can_createrole bool, can_createdb bool, can_login bool, is_replication bool, conn_limit int, valid_until time, bypass_rls bool, config text[], description text | rows
---
select member id, roleid role_id, admin_option from pg_catalog.pg_auth_members order by id, roleid::text
--! id int, role_id int, admin_option bool | no rows # no roles in roles here
---
select T.oid::bigint as id, T.spcname as name, T.xmin as state_number,
pg_catalog.pg_get_userbyid(T.spcowner) as owner, pg_catalog.pg_tablespace_location(T.oid) as location,
T.spcoptions as options, D.description as comment from pg_catalog.pg_tablespace T
left join pg_catalog.pg_shdescription D on D.objoid = T.oid
--> id int, name text, state_number int, owner text, location text, options text[], comment text | rows
---
select T.oid as object_id, T.spcacl as acl from pg_catalog.pg_tablespace T
union all select T.oid as object_id, T.datacl as acl from pg_catalog.pg_database T
--> object_id int, acl text[] | rows
---
SELECT e.typdelim FROM pg_catalog.pg_type t, pg_catalog.pg_type e WHERE t.oid = '1034' and t.typelem = e.oid
--> typdelim text | rows
---
SELECT e.oid, n.nspname = ANY(current_schemas(true)), n.nspname, e.typname FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_type e ON t.typelem = e.oid JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid
WHERE t.oid = '1034'
--> oid int, ?column? bool, nspname text, typname text | rows
---
select ssl from pg_stat_ssl where pid = pg_backend_pid()
--> ssl bool | rows
--- ADBC
SELECT attname, atttypid FROM pg_catalog.pg_class AS cls
INNER JOIN pg_catalog.pg_attribute AS attr ON cls.oid = attr.attrelid
INNER JOIN pg_catalog.pg_type AS typ ON attr.atttypid = typ.oid
WHERE attr.attnum >= 0 AND cls.oid = 1602::regclass::oid ORDER BY attr.attnum
--> attname text, atttypid int | no rows
---
SELECT oid, typname, typreceive, typbasetype, typrelid, typarray FROM pg_catalog.pg_type
WHERE (typreceive != 0 OR typsend != 0) AND typtype != 'r' AND typreceive::TEXT != 'array_recv'
--> oid int, typname text, typreceive text, typbasetype int, typrelid int, typarray int | rows
---
SELECT attname, atttypid FROM pg_catalog.pg_class AS cls INNER JOIN pg_catalog.pg_attribute AS attr ON cls.oid =
attr.attrelid INNER JOIN pg_catalog.pg_type AS typ ON attr.atttypid = typ.oid WHERE attr.attnum >= 0 AND cls.oid =
'spans'::regclass::oid ORDER BY attr.attnum
--> attname text, atttypid int | rows
--- Grafana: version, tables, columns, types; $1 filled in
SELECT current_setting('server_version_num')::int/100
--> ?column? int | rows
---
SELECT CASE WHEN quote_ident(table_schema) IN (
 SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
 FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1),
  array_upper(string_to_array(current_setting('search_path'), ','), 1)) as i,
  string_to_array(current_setting('search_path'), ',') s) THEN quote_ident(table_name)
 ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
FROM information_schema.tables
WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache', '_timescaledb_catalog',
 '_timescaledb_internal', '_timescaledb_config', 'timescaledb_information', 'timescaledb_experimental')
ORDER BY CASE WHEN quote_ident(table_schema) IN (
 SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
 FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1),
  array_upper(string_to_array(current_setting('search_path'), ','), 1)) as i,
  string_to_array(current_setting('search_path'), ',') s) THEN 0 ELSE 1 END, 1
--> table text | rows
---
SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
WHERE CASE WHEN array_length(parse_ident('spans'),1) = 2
 THEN quote_ident(table_schema) = (parse_ident('spans'))[1] AND quote_ident(table_name) = (parse_ident('spans'))[2]
 ELSE quote_ident(table_name) = 'spans' AND quote_ident(table_schema) IN (
  SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
  FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1),
   array_upper(string_to_array(current_setting('search_path'), ','), 1)) as i,
   string_to_array(current_setting('search_path'), ',') s) END
--> column text, type text | rows
---
SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'
--> extversion text | no rows
---
SELECT column_name FROM information_schema.columns WHERE table_name = 'spans'
AND data_type IN ('timestamp without time zone', 'timestamp with time zone', 'date')
--> column_name text | rows
---
SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
AND table_type = 'BASE TABLE'
--> table_name text | no rows
---
SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'spans' ORDER BY ordinal_position
--> column_name text, data_type text, is_nullable text | rows
--- Grafana
SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns WHERE CASE WHEN
array_length(parse_ident('public.spans'),1) = 2 THEN quote_ident(table_schema) = (parse_ident('public.spans'))[1] AND
quote_ident(table_name) = (parse_ident('public.spans'))[2] ELSE quote_ident(table_name) = 'public.spans' AND
quote_ident(table_schema) IN ( SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END FROM
generate_series( array_lower(string_to_array(current_setting('search_path'),','),1),
array_upper(string_to_array(current_setting('search_path'),','),1) ) as i,
string_to_array(current_setting('search_path'),',') s ) END
--> column text, type text | rows
--- Tableau, Superset, Fivetran, Airbyte, dbt
SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_schema NOT IN ('information_schema', 'pg_catalog')
--> table_schema text | rows
---
SELECT column_name, ordinal_position, column_default, is_nullable, data_type, character_maximum_length,
numeric_precision, numeric_scale FROM information_schema.columns WHERE table_name = 'spans'
--> column_name text, ordinal_position int, column_default text, is_nullable text, data_type text, character_maximum_length int, numeric_precision int, numeric_scale int | rows
---
SELECT current_database(), current_schema(), session_user, current_user
--> current_database text, current_schema text, session_user text, current_user text | rows
---
SELECT c.oid, c.relname, c.relkind, n.nspname, pg_get_userbyid(c.relowner) as owner,
obj_description(c.oid, 'pg_class') as description FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v') AND n.nspname NOT IN ('pg_catalog', 'information_schema') LIMIT 10
--> oid int, relname text, relkind text, nspname text, owner text, description text | rows
---
SELECT a.attnum, a.attname, t.typname, a.atttypmod, a.attnotnull, a.atthasdef FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relname = 'spans' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
--> attnum int, attname text, typname text, atttypmod int, attnotnull bool, atthasdef bool | rows
---
SELECT tc.table_schema, tc.table_name, kcu.column_name FROM information_schema.table_constraints tc
JOIN information_schema.key_column_usage kcu ON tc.constraint_name = kcu.constraint_name
AND tc.table_schema = kcu.table_schema WHERE tc.constraint_type = 'PRIMARY KEY'
--! table_schema text, table_name text, column_name text | no rows # no constraints here
---
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'spans' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
--> count int | rows
---
SELECT count(*) FROM pg_namespace WHERE nspname = 'main'
--> count int | rows
--- views of the catalog, as drivers look through them
SELECT datname FROM pg_database WHERE datistemplate IS false AND datallowconn IS true ORDER BY datname
--> datname text | rows
---
SELECT typname, typtype FROM pg_type LIMIT 10
--> typname text, typtype text | rows
---
SELECT relname, relkind FROM pg_class WHERE relkind = 'r' LIMIT 10
--> relname text, relkind text | rows
---
SELECT attname, atttypid FROM pg_attribute WHERE attnum > 0 LIMIT 10
--> attname text, atttypid int | rows
---
SELECT rolname FROM pg_roles
--> rolname text | rows
---
SELECT schema_name FROM information_schema.schemata WHERE schema_name != 'information_schema'
AND schema_name NOT LIKE 'pg_%' ORDER BY schema_name
--> schema_name text | rows
---
SELECT table_name, column_name, data_type FROM information_schema.columns LIMIT 10
--> table_name text, column_name text, data_type text | rows
---
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
JOIN pg_class t ON a.attrelid = t.oid JOIN pg_namespace s ON t.relnamespace = s.oid
WHERE a.attnum > 0 AND NOT a.attisdropped AND s.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY a.attnum LIMIT 20
--> attname text, format_type text | rows
---
SELECT matviewname FROM pg_matviews
--> matviewname text | no rows
---
SELECT * FROM pg_policy LIMIT 5
--> oid int, polname text, polrelid int, polcmd text, polpermissive bool, polroles int[], polqual text, polwithcheck text | no rows
---
SELECT collname FROM pg_collation LIMIT 5
--> collname text | rows
---
SELECT * FROM pg_statistic_ext LIMIT 5
--> oid int, stxrelid int, stxname text, stxnamespace int, stxowner int, stxstattarget int, stxkeys int[], stxkind text[], stxexprs text | no rows
---
SELECT * FROM pg_publication LIMIT 5
--> oid int, pubname text, pubowner int, puballtables bool, pubinsert bool, pubupdate bool, pubdelete bool, pubtruncate bool, pubviaroot bool | no rows
---
SELECT * FROM pg_inherits LIMIT 5
--> inhrelid int, inhparent int, inhseqno int, inhdetachpending bool | no rows
---
SELECT * FROM pg_rules LIMIT 5
--! schemaname text, tablename text, rulename text, definition text | no rows # no rules here
---
SELECT * FROM pg_stat_statements LIMIT 5
--! userid int, dbid int, queryid int, query text, calls int, total_exec_time float, rows int | no rows # an extension that this PostgreSQL lacks; empty here
---
SELECT * FROM pg_partitioned_table LIMIT 5
--> partrelid int, partstrat text, partnatts int, partdefid int, partattrs int[], partclass int[], partcollation int[], partexprs text | no rows
---
SELECT * FROM pg_constraint LIMIT 5
--! oid int, conname text, connamespace int, contype text, condeferrable bool, condeferred bool, convalidated bool, conrelid int, contypid int, conindid int, conparentid int, confrelid int, confupdtype text, confdeltype text, confmatchtype text, conislocal bool, coninhcount int, connoinherit bool, conkey int[], confkey int[], conpfeqop int[], conppeqop int[], conffeqop int[], confdelsetcols int[], conexclop int[], conbin text | no rows # no constraints here
---
SELECT * FROM pg_indexes LIMIT 5
--! schemaname text, tablename text, indexname text, tablespace text, indexdef text | no rows # no indexes here
---
SELECT * FROM pg_stat_activity LIMIT 5
--> datid int, datname text, pid int, leader_pid int, usesysid int, usename text, application_name text, client_addr text, client_hostname text, client_port int, backend_start time, xact_start time, query_start time, state_change time, wait_event_type text, wait_event text, state text, backend_xid int, backend_xmin int, query_id int, query text, backend_type text | rows
---
SELECT relname FROM pg_stat_user_tables LIMIT 5
--> relname text | no rows
--- views of the catalog
SELECT datname FROM pg_database WHERE datallowconn
--> datname text | rows
---
SELECT nspname FROM pg_namespace
--> nspname text | rows
--- functions
SELECT format_type(23, -1), format_type(1043, 54), format_type(1700, 655366), pg_get_userbyid(10), pg_table_is_visible(0)
--> format_type text, format_type text, format_type text, pg_get_userbyid text, pg_table_is_visible bool | rows
---
SELECT has_schema_privilege('public', 'USAGE'), has_table_privilege('pg_class', 'SELECT'), pg_encoding_to_char(6)
--> has_schema_privilege bool, has_table_privilege bool, pg_encoding_to_char text | rows
---
SELECT current_setting('server_version'), obj_description(0, 'pg_class'), col_description(0, 1), pg_is_in_recovery()
--> current_setting text, obj_description text, col_description text, pg_is_in_recovery bool | rows
---
SELECT pg_backend_pid(), pg_size_pretty(1048576), quote_ident('my_table'), quote_literal('hello')
--! pg_backend_pid int, pg_size_pretty text, quote_ident text, quote_literal text | rows # PostgreSQL knows two functions for it, and takes neither; the others are as there
--- the JDBC driver's DatabaseMetaData: getTables, getColumns, getPrimaryKeys, getSchemas, getTypeInfo
SELECT current_database() AS "TABLE_CAT", n.nspname AS "TABLE_SCHEM", c.relname AS "TABLE_NAME",
CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN CASE WHEN n.nspname = 'pg_catalog'
 OR n.nspname = 'information_schema' THEN CASE c.relkind WHEN 'r' THEN 'SYSTEM TABLE' WHEN 'v' THEN 'SYSTEM VIEW'
 WHEN 'i' THEN 'SYSTEM INDEX' ELSE NULL END ELSE NULL END
WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END
ELSE NULL END AS "TABLE_TYPE", d.description AS "REMARKS", '' as "TYPE_CAT", '' as "TYPE_SCHEM", '' as "TYPE_NAME",
'' AS "SELF_REFERENCING_COL_NAME", '' AS "REF_GENERATION"
FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c
LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 and d.classoid = 'pg_class'::regclass)
WHERE c.relnamespace = n.oid AND (false OR (c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')
OR (c.relkind = 'v' AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'))
ORDER BY "TABLE_TYPE","TABLE_SCHEM","TABLE_NAME"
--> TABLE_CAT text, TABLE_SCHEM text, TABLE_NAME text, TABLE_TYPE text, REMARKS text, TYPE_CAT text, TYPE_SCHEM text, TYPE_NAME text, SELF_REFERENCING_COL_NAME text, REF_GENERATION text | rows
---
SELECT * FROM (SELECT current_database() AS current_database, n.nspname,c.relname,a.attname,a.atttypid,
a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,a.atttypmod,a.attlen,t.typtypmod,
row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') as attidentity,
nullif(a.attgenerated, '') as attgenerated, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,dsc.description,
t.typbasetype,t.typtype FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid)
JOIN pg_catalog.pg_attribute a ON (a.attrelid=c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)
LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid=def.adrelid AND a.attnum = def.adnum)
LEFT JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)
LEFT JOIN pg_catalog.pg_class dc ON (dc.oid=dsc.classoid AND dc.relname='pg_class')
LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace=dn.oid AND dn.nspname='pg_catalog')
WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped AND c.relname LIKE 'spans') c
WHERE true ORDER BY nspname,c.relname,attnum
--> current_database text, nspname text, relname text, attname text, atttypid int, attnotnull bool, atttypmod int, attlen int, typtypmod int, attnum int, attidentity text, attgenerated text, adsrc text, description text, typbasetype int, typtype text | rows
---
SELECT result.TABLE_CAT AS "TABLE_CAT", result.TABLE_SCHEM AS "TABLE_SCHEM", result.TABLE_NAME AS "TABLE_NAME",
result.COLUMN_NAME AS "COLUMN_NAME", result.KEY_SEQ AS "KEY_SEQ", result.PK_NAME AS "PK_NAME"
FROM (SELECT current_database() AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME,
a.attname AS COLUMN_NAME, (information_schema._pg_expandarray(i.indkey)).n AS KEY_SEQ, ci.relname AS PK_NAME,
information_schema._pg_expandarray(i.indkey) AS KEYS, a.attnum AS A_ATTNUM FROM pg_catalog.pg_class ct
JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid)
JOIN pg_catalog.pg_index i ON ( a.attrelid = i.indrelid) JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid)
WHERE true AND ct.relname = 'spans' AND i.indisprimary) result
where result.A_ATTNUM = (result.KEYS).x ORDER BY result.table_name, result.pk_name, result.key_seq
--> TABLE_CAT text, TABLE_SCHEM text, TABLE_NAME text, COLUMN_NAME text, KEY_SEQ int, PK_NAME text | no rows
---
SELECT t.typname,t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON (t.typnamespace = n.oid)
WHERE n.nspname != 'pg_toast' AND (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c
WHERE c.oid = t.typrelid))
--> typname text, oid int | rows
--- SQLAlchemy, psycopg
SELECT pg_catalog.pg_type.typname FROM pg_catalog.pg_type JOIN pg_catalog.pg_namespace
ON pg_catalog.pg_namespace.oid = pg_catalog.pg_type.typnamespace WHERE pg_catalog.pg_type.typname = 'hstore'
--> typname text | no rows
---
SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid, t.oid::regtype::text AS regtype, t.typdelim AS delimiter
FROM pg_type t WHERE t.oid = to_regtype('hstore') ORDER BY t.oid
--> name text, oid int, array_oid int, regtype text, delimiter text | no rows
---
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class
JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace
WHERE pg_catalog.pg_class.relkind = ANY (ARRAY['v']) AND pg_catalog.pg_class.relpersistence != 't'
AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid) AND pg_catalog.pg_namespace.nspname != 'pg_catalog'
--> relname text | rows
--- pgAdmin
SELECT CASE WHEN (SELECT count(extname) FROM pg_catalog.pg_extension WHERE extname='bdr') > 0 THEN 'pgd' WHEN (SELECT
COUNT(*) FROM pg_replication_slots) > 0 THEN 'log' ELSE NULL END as type
--> type text | rows
---
SELECT objoid, classoid, description FROM pg_catalog.pg_shdescription LIMIT 5
--! objoid int, classoid int, description text | no rows # no comments on databases here
---
SELECT db.oid::bigint AS did, db.datname AS name, db.dattablespace AS spcoid, shd.description AS comment,
db.datallowconn, has_database_privilege(db.oid, 'CREATE') AS cancreate, datistemplate FROM pg_catalog.pg_database db
LEFT JOIN pg_catalog.pg_shdescription shd ON shd.objoid = db.oid ORDER BY datname
--> did int, name text, spcoid int, comment text, datallowconn bool, cancreate bool, datistemplate bool | rows
---
SELECT db.oid::bigint AS did, db.datname AS name, db.dattablespace AS spcoid, shd.description AS comment,
pg_catalog.pg_encoding_to_char(db.encoding) AS encoding, pg_catalog.pg_get_userbyid(db.datdba) AS datowner,
has_database_privilege(db.oid, 'CREATE') AS cancreate, datistemplate, datallowconn, datconnlimit, datcollate, datctype
FROM pg_catalog.pg_database db LEFT JOIN pg_catalog.pg_shdescription shd ON shd.objoid = db.oid ORDER BY datname
--> did int, name text, spcoid int, comment text, encoding text, datowner text, cancreate bool, datistemplate bool, datallowconn bool, datconnlimit int, datcollate text, datctype text | rows
---
SELECT r.oid::bigint AS id, r.rolname AS name, r.rolcanlogin, r.rolsuper, shd.description FROM pg_catalog.pg_roles r
LEFT JOIN pg_catalog.pg_shdescription shd ON shd.objoid = r.oid ORDER BY r.rolcanlogin, r.rolname
--> id int, name text, rolcanlogin bool, rolsuper bool, description text | rows
---
SELECT nsp.oid::bigint AS id, nsp.nspname AS name, has_schema_privilege(nsp.oid, 'CREATE') AS can_create,
has_schema_privilege(nsp.oid, 'USAGE') AS has_usage FROM pg_catalog.pg_namespace nsp WHERE nspname NOT LIKE 'pg\_%'
AND nspname != 'information_schema' ORDER BY nspname
--> id int, name text, can_create bool, has_usage bool | rows
---
SELECT ts.oid::bigint AS id, spcname AS name, shobj_description(ts.oid, 'pg_tablespace') AS description FROM
pg_catalog.pg_tablespace ts ORDER BY name
--> id int, name text, description text | rows
---
SELECT has_database_privilege('postgres', 'CONNECT')
--> has_database_privilege bool | rows
--- bounds of arrays
SELECT array_upper(ARRAY[1, 2, 3], 1), array_lower(ARRAY[1, 2, 3], 1)
--> array_upper int, array_lower int | rows
---
SELECT pg_catalog.array_upper(ARRAY['a', 'b'], 1)
--> array_upper int | rows
---
SELECT pg_catalog.array_lower(ARRAY['a', 'b'], 1)
--> array_lower int | rows
---
SELECT array_upper(string_to_array('public,utils', ','), 1)
--> array_upper int | rows
---
SELECT array_lower(string_to_array('public,utils', ','), 1)
--> array_lower int | rows
--- functions of the catalog
SELECT format_type(23, -1)
--> format_type text | rows
---
SELECT format_type(1043, 54)
--> format_type text | rows
---
SELECT format_type(1700, 655366)
--> format_type text | rows
---
SELECT pg_get_userbyid(10)
--> pg_get_userbyid text | rows
---
SELECT pg_table_is_visible(0)
--> pg_table_is_visible bool | rows
---
SELECT has_schema_privilege('public', 'USAGE')
--> has_schema_privilege bool | rows
---
SELECT has_table_privilege('pg_class', 'SELECT')
--> has_table_privilege bool | rows
---
SELECT pg_encoding_to_char(6)
--> pg_encoding_to_char text | rows
---
SELECT worker_version()
--! error the function worker_version is not allowed # no meaning: a function of the list's own server
---
SELECT current_setting('server_version')
--> current_setting text | rows
---
SELECT obj_description(0, 'pg_class')
--> obj_description text | rows
---
SELECT col_description(0, 1)
--> col_description text | rows
---
SELECT pg_get_expr(NULL, 0)
--> pg_get_expr text | rows
---
SELECT pg_get_indexdef(0)
--> pg_get_indexdef text | rows
---
SELECT pg_get_constraintdef(0)
--> pg_get_constraintdef text | rows
---
SELECT pg_get_serial_sequence('pg_class', 'oid')
--> pg_get_serial_sequence text | rows
---
SELECT shobj_description(0, 'pg_database')
--> shobj_description text | rows
---
SELECT pg_total_relation_size(0)
--> pg_total_relation_size int | rows
---
SELECT pg_relation_size(0)
--> pg_relation_size int | rows
---
SELECT pg_table_size(0)
--> pg_table_size int | rows
---
SELECT pg_indexes_size(0)
--> pg_indexes_size int | rows
---
SELECT pg_database_size('main')
--! pg_database_size int | rows # a database of the list's own server
---
SELECT quote_nullable('hello')
--> quote_nullable text | rows
---
SELECT txid_current()
--> txid_current int | rows
---
SELECT pg_is_in_recovery()
--> pg_is_in_recovery bool | rows
---
SELECT pg_backend_pid()
--> pg_backend_pid int | rows
---
SELECT pg_size_pretty(1048576)
--! pg_size_pretty text | rows # PostgreSQL knows two functions for it, and takes neither
---
SELECT quote_ident('my_table')
--> quote_ident text | rows
---
SELECT quote_literal('hello')
--> quote_literal text | rows
--- the information schema
SELECT table_name, table_type FROM information_schema.tables LIMIT 10
--> table_name text, table_type text | rows
---
SELECT schema_name FROM information_schema.schemata
--> schema_name text | rows
--- joins in the catalog
SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON c.relnamespace = n.oid WHERE n.nspname
NOT IN ('pg_catalog', 'information_schema') ORDER BY n.nspname, c.relname LIMIT 20
--> nspname text, relname text, relkind text | rows
---
SELECT n.nspname as "Schema", c.relname as "Name", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END as
"Type", pg_catalog.pg_get_userbyid(c.relowner) as "Owner" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace
n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','v') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2 LIMIT 20
--> Schema text, Name text, Type text, Owner text | rows
---
SELECT d.datname as "Name", pg_catalog.pg_get_userbyid(d.datdba) as "Owner",
pg_catalog.pg_encoding_to_char(d.encoding) as "Encoding" FROM pg_catalog.pg_database d ORDER BY 1
--> Name text, Owner text, Encoding text | rows
--- what there is none of
SELECT * FROM pg_enum LIMIT 5
--> oid int, enumtypid int, enumsortorder float, enumlabel text | no rows
---
SELECT * FROM pg_publication_rel LIMIT 5
--> oid int, prpubid int, prrelid int, prqual text, prattrs int[] | no rows
---
SELECT * FROM pg_statio_user_tables LIMIT 5
--> relid int, schemaname text, relname text, heap_blks_read int, heap_blks_hit int, idx_blks_read int, idx_blks_hit int, toast_blks_read int, toast_blks_hit int, tidx_blks_read int, tidx_blks_hit int | no rows
--- psql: \sf, \sv, \do, \encoding
SELECT 'red'::pg_catalog.regproc::pg_catalog.oid
--> oid int | rows
---
SELECT nspname, relname, relkind, pg_catalog.pg_get_viewdef(c.oid, true),
pg_catalog.array_remove(pg_catalog.array_remove(c.reloptions, 'check_option=local'), 'check_option=cascaded') AS reloptions,
CASE WHEN 'check_option=local' = ANY (c.reloptions) THEN 'LOCAL'::text
WHEN 'check_option=cascaded' = ANY (c.reloptions) THEN 'CASCADED'::text ELSE NULL END AS checkoption
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON c.relnamespace = n.oid WHERE c.oid = {spans}
--> nspname text, relname text, relkind text, pg_get_viewdef text, reloptions text[], checkoption text | rows
---
SELECT n.nspname as "Schema", o.oprname AS "Name",
CASE WHEN o.oprkind = 'l' THEN NULL ELSE pg_catalog.format_type(o.oprleft, NULL) END AS "Left arg type",
CASE WHEN o.oprkind = 'r' THEN NULL ELSE pg_catalog.format_type(o.oprright, NULL) END AS "Right arg type",
pg_catalog.format_type(o.oprresult, NULL) AS "Result type",
pg_catalog.obj_description(o.oid, 'pg_operator') AS "Description"
FROM pg_catalog.pg_operator o LEFT JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
WHERE n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' AND pg_catalog.pg_operator_is_visible(o.oid)
ORDER BY 1, 2, 3, 4
--> Schema text, Name text, Left arg type text, Right arg type text, Result type text, Description text | no rows
---
SELECT pg_catalog.getdatabaseencoding()
--> getdatabaseencoding text | rows
