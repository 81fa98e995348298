//! sql_gates
