//! Rows that are left out.

use super::*;

fn filtered(
    sealed: &Sealed,
    table: Table,
    inputs: &[Input],
    condition: &str,
    resources: &[Input],
) -> Result<Job, MergeError> {
    let filter = Filter {
        condition: condition.to_owned(),
        resources: resources.iter().map(|input| input.path.clone()).collect(),
        dry_run: false,
    };
    let job = Job { filter: Some(filter), ..sealed.job(table, inputs) };
    // Whatever is to go, a dry run finds the same and writes nothing.
    let dry = Job { filter: job.filter.clone().map(|filter| Filter { dry_run: true, ..filter }), ..job.clone() };
    let counted = write(&sealed.db, &dry)?;
    assert!(!job.sealed.join(&job.output).exists());
    let merged = write(&sealed.db, &job)?;
    assert_eq!((merged.rows, merged.left_out), (counted.rows, counted.left_out));
    assert_eq!(merged.rows + merged.left_out, inputs.iter().map(|input| input.rows).sum::<u64>());
    assert_eq!(job.sealed.join(&job.output).exists(), merged.rows > 0 && merged.left_out > 0);
    Ok(job)
}

#[test]
fn the_rows_of_a_condition_are_gone_and_the_others_are_as_they_were() {
    let mut sealed = Sealed::new(256 << 20);
    for table in Table::ALL {
        let input = sealed.add(table, &some_rows(table, 0, 100, schema::VERSION));
        let (column, condition) = match table {
            Table::Resources => ("resource_id", "resource_id < 30"),
            Table::Series => ("series_id", "labels.k::BIGINT < 30"),
            Table::MetricMetadata => ("type", "type = 't1'"),
            Table::MetricDistributions | Table::MetricPoints => ("metric", "metric = 't1'"),
            Table::Stacks => ("stack_id", "stack_id < 30"),
            Table::Frames => ("frame_id", "frame_id < 30"),
            Table::Exemplars => ("series_id", "series_id < 30"),
            Table::Spans | Table::Logs | Table::Profiles | Table::ProfileSamples => {
                ("service_name", "service_name = 't1'")
            }
        };
        let job = filtered(&sealed, table, std::slice::from_ref(&input), condition, &[]).unwrap();
        let all = sealed.paths(std::slice::from_ref(&input));
        let left = quoted_path(&job.sealed.join(&job.output));
        let gone = |row: &&String| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            match condition.split_once(" = ") {
                Some(_) => row[column] == "t1",
                None => row[column].as_i64().unwrap() < 30,
            }
        };
        let (removed, expected): (Vec<String>, Vec<String>) =
            sealed.rows(table, &all).into_iter().partition(|row| gone(&row));
        assert!(!removed.is_empty() && !expected.is_empty(), "{table:?}");
        assert_eq!(sealed.rows(table, &[left]), expected, "{table:?}");
    }
}

#[test]
fn resources_and_ids_are_named_as_users_see_them() {
    let mut sealed = Sealed::new(256 << 20);
    let resources = sealed.add(
        Table::Resources,
        &format!(
            "SELECT n AS resource_id, make_timestamp_ns({START}) AS time,
                {{'tenant.id': 'x' || n, 'service.name': 'shop' || n}}::VARIANT AS resource FROM range(5) AS t(n)"
        ),
    );
    let spans = some_rows(Table::Spans, 0, 100, schema::VERSION);
    let of_five = format!("SELECT * REPLACE (resource_id % 5 AS resource_id) FROM ({spans})");
    let input = sealed.add(Table::Spans, &of_five);
    let inputs = std::slice::from_ref(&input);
    let left = |condition: &str| {
        let job = filtered(&sealed, Table::Spans, inputs, condition, std::slice::from_ref(&resources)).unwrap();
        let path = job.sealed.join(&job.output);
        if !path.exists() {
            return None;
        }
        let sql = format!("SELECT count(*), min(resource_id) FROM read_parquet({})", quoted_path(&path));
        Some(sealed.one::<(i64, i64)>(&sql))
    };
    assert_eq!(left("resource.\"tenant.id\" = 'x0'"), Some((80, 1)));
    assert_eq!(left("attributes.k::BIGINT >= 50"), Some((50, 0)));
    assert_eq!(left("attributes.text = 'v1'"), Some((67, 0)));
    assert_eq!(left("trace_id = lower(hex(('\\x00' || hash(7))::BLOB))"), Some((99, 0)));
    // None, or all.
    assert_eq!(left("service_name = 'nobody'"), None);
    assert_eq!(left("trace_id IS NOT NULL"), None);
    // A condition that is neither true nor false leaves the row where it is.
    assert_eq!(left("service_name = NULL"), None);
    // The service in the resource itself.
    let job =
        filtered(&sealed, Table::Resources, std::slice::from_ref(&resources), "service_name = 'shop3'", &[]).unwrap();
    let sql =
        format!("SELECT count(*), max(resource_id) FROM read_parquet({})", quoted_path(&job.sealed.join(&job.output)));
    assert_eq!(sealed.one::<(i64, i64)>(&sql), (4, 4));
}

#[test]
fn what_cannot_be_a_condition_is_told() {
    let mut sealed = Sealed::new(256 << 20);
    let input = sealed.add(Table::Logs, &some_rows(Table::Logs, 0, 10, schema::VERSION));
    let refused =
        |condition: &str| filtered(&sealed, Table::Logs, std::slice::from_ref(&input), condition, &[]).unwrap_err();
    assert!(matches!(refused("duration_ns > 5"), MergeError::Columns(why) if why == "logs has no column duration_ns"));
    assert!(matches!(refused("merged_row > 5"), MergeError::Columns(_)));
    assert!(matches!(refused("resource_id > 5"), MergeError::Columns(_)), "users do not see it");
    assert!(matches!(refused("body IN (SELECT 1)"), MergeError::Condition(_)));
    assert!(matches!(refused("body ="), MergeError::Condition(_)));
}
