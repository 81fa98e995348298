//! The symbols of remote write 2.0 and the references to them.

use super::labels::Names;
use crate::wire::Limits;
use crate::wire::error::{Reason, WireError};
use crate::wire::fields::{Fields, Value, error};

const SYMBOLS: u32 = 4;
const TIMESERIES: u32 = 5;

/// Checks what a well-formed request asks of its references and series.
pub(super) fn check(payload: &[u8]) -> Result<(), WireError> {
    let symbols = Symbols::read(payload)?;
    let mut names = Names::default();
    let series = Fields(payload).filter(|(tag, _)| *tag == TIMESERIES).map(|(_, value)| value.bytes());
    for (index, series) in series.enumerate() {
        check_series(&symbols, series, &mut names).map_err(|(path, reason)| {
            let dot = if path.is_empty() { "" } else { "." };
            error(payload, series, format!("timeseries[{index}]{dot}{path}"), reason)
        })?;
    }
    Ok(())
}

/// The path below the series, and what is wrong there.
type Fault = (String, Reason);

fn check_series<'a>(symbols: &Symbols<'a>, series: &'a [u8], names: &mut Names<'a>) -> Result<(), Fault> {
    names.clear();
    let mut labels = Pairs::default();
    let (mut samples, mut histograms, mut exemplars) = (false, false, 0);
    for (tag, value) in Fields(series) {
        match tag {
            1 => {
                for reference in value.numbers() {
                    let symbol = symbols.get(reference).map_err(|reason| ("labels_refs".to_owned(), reason))?;
                    if let Some((name, value)) = labels.push(symbol) {
                        names.push(name, value);
                    }
                }
            }
            2 => samples = true,
            3 => histograms = true,
            4 => {
                check_exemplar(symbols, value)
                    .map_err(|reason| (format!("exemplars[{exemplars}].labels_refs"), reason))?;
                exemplars += 1;
            }
            5 => {
                for (tag, value) in Fields(value.bytes()) {
                    let field = match tag {
                        3 => "metadata.help_ref",
                        4 => "metadata.unit_ref",
                        _ => continue,
                    };
                    symbols.get(value.number()).map_err(|reason| (field.to_owned(), reason))?;
                }
            }
            _ => {}
        }
    }
    labels.end().map_err(|reason| ("labels_refs".to_owned(), reason))?;
    if samples && histograms {
        return Err((String::new(), Reason::SamplesAndHistograms));
    }
    names.check().map_err(|(label, reason)| match label {
        Some(label) => (format!("labels_refs[{}]", 2 * label), reason),
        None => (String::new(), reason),
    })
}

fn check_exemplar(symbols: &Symbols<'_>, exemplar: Value<'_>) -> Result<(), Reason> {
    let mut labels = Pairs::default();
    for (_, value) in Fields(exemplar.bytes()).filter(|(tag, _)| *tag == 1) {
        for reference in value.numbers() {
            labels.push(symbols.get(reference)?);
        }
    }
    labels.end()
}

/// Makes pairs of a sequence of references.
#[derive(Default)]
struct Pairs<'a> {
    name: Option<&'a [u8]>,
    count: usize,
}

impl<'a> Pairs<'a> {
    fn push(&mut self, symbol: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        self.count += 1;
        match self.name.take() {
            Some(name) => Some((name, symbol)),
            None => {
                self.name = Some(symbol);
                None
            }
        }
    }

    fn end(self) -> Result<(), Reason> {
        if self.name.is_none() { Ok(()) } else { Err(Reason::OddLabelReferences(self.count)) }
    }
}

/// The symbols of the request.
struct Symbols<'a>(Vec<&'a [u8]>);

impl<'a> Symbols<'a> {
    fn read(payload: &'a [u8]) -> Result<Self, WireError> {
        let symbols = || Fields(payload).filter(|(tag, _)| *tag == SYMBOLS).map(|(_, value)| value.bytes());
        let count = symbols().count();
        if count > Limits::ENTRIES {
            let reason = Reason::TooMany { what: "symbols", count, limit: Limits::ENTRIES };
            return Err(error(payload, payload, "symbols".to_owned(), reason));
        }
        let mut all = Vec::with_capacity(count);
        all.extend(symbols());
        match all.first() {
            Some(first) if !first.is_empty() => {
                Err(error(payload, first, "symbols[0]".to_owned(), Reason::FirstSymbolNotEmpty))
            }
            _ => Ok(Symbols(all)),
        }
    }

    fn get(&self, reference: u64) -> Result<&'a [u8], Reason> {
        // A uint32 that was written with more bits is cut by every decoder.
        let reference = reference as u32;
        let symbol = usize::try_from(reference).ok().and_then(|index| self.0.get(index));
        symbol.copied().ok_or(Reason::SymbolOutOfRange { reference, symbols: self.0.len() })
    }
}
