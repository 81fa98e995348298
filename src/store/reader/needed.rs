//! Which files a statement needs: those that can hold a row that counts.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::files::{Files, Value};
use super::planner::Needs;
use super::predicate::{Comparison, Predicate};
use super::views::Shown;
use crate::store::parquet_file::filters::{self, Found};
use crate::store::schema::Table;

/// What the views of the tables are to be over; of a table that is missing no row counts.
pub fn needed(files: &mut Files, sealed: &Path, needs: &Needs) -> HashMap<Table, Shown> {
    let mut needed = HashMap::new();
    let mut of_resources: Option<Vec<Predicate>> = needs.of(Table::Resources).map(|predicate| vec![predicate]);
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Resources) {
        let Some(predicate) = needs.of(table) else { continue };
        let (mut shown, predicate) = shown(files, sealed, table, predicate);
        shown.keys = needs.keys_of(table);
        shown.resources = needs.with_resources(table);
        if shown.resources {
            let days = (!shown.files.is_empty()).then(|| predicate.on_days(table, Table::Resources));
            of_resources.get_or_insert_default().extend(days);
        }
        needed.insert(table, shown);
    }
    if let Some(predicates) = of_resources {
        let of_any = predicates.into_iter().reduce(Predicate::or);
        let of_any = of_any.map(|predicate| shown(files, sealed, Table::Resources, predicate).0);
        let keys = needs.keys_of(Table::Resources);
        needed.insert(Table::Resources, Shown { keys, ..of_any.unwrap_or_default() });
    }
    needed
}

/// The files of a table that can hold a row that fulfils this, and what is known of such rows then.
fn shown(files: &mut Files, sealed: &Path, table: Table, predicate: Predicate) -> (Shown, Predicate) {
    let mut ids: Vec<i64> = files.of(table).filter(|file| predicate.may_hold(file)).map(|file| file.id).collect();
    let (filter, fixed_ids) = (predicate.by_bytes(table), predicate.fixed_ids());
    let place = table.columns().iter().position(|column| column.name == filters::COLUMN);
    let traces = place.and_then(|place| predicate.ids(place)).unwrap_or_default();
    let mut row_groups = BTreeMap::new();
    let mut of_files = Vec::new();
    if !traces.is_empty() {
        ids.retain(|id| {
            let Some(path) = files.path(*id).map(|path| sealed.join(path)) else { return false };
            match files.footer(sealed, *id).filters.find(&path, &traces) {
                Ok(Found::Nothing) => return false,
                Ok(Found::Some { groups, times }) => {
                    row_groups.extend(groups.map(|groups| (*id, groups)));
                    of_files.push(times.map_or(Predicate::Any, |times| between(table, times)));
                }
                // Whoever reads the rows of one that cannot be read will say so.
                Err(_) => of_files.push(Predicate::Any),
            }
            true
        });
    }
    let predicate = of_files.into_iter().reduce(Predicate::or).map_or(predicate.clone(), |times| predicate.and(times));
    (Shown { files: ids, row_groups, filter, fixed_ids, ..Shown::default() }, predicate)
}

/// That a row has a time from one to the other, in nanoseconds since the Unix epoch.
fn between(table: Table, (first, last): (i64, i64)) -> Predicate {
    let compare = |comparison, nanos| {
        let column = table.columns().iter().position(|column| column.name == table.time_column())?;
        Some(Predicate::Compare { column, comparison, value: Value::of_time(nanos)?, by_hex: false })
    };
    let (first, last) = (compare(Comparison::GreaterOrEqual, first), compare(Comparison::LessOrEqual, last));
    first.into_iter().chain(last).fold(Predicate::Any, Predicate::and)
}
