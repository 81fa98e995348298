//! Where the services spend their time: call stacks with a share of it each, leaf first.

use super::shop::Service;

/// A function, its file and line.
pub type Frame = (&'static str, &'static str, i64);

/// A call stack, its share of processor time and its share of memory.
pub type Stack = (&'static [Frame], u32, u32);

/// The stacks of a service that is busy.
pub fn of(service: Service) -> &'static [Stack] {
    match service {
        Service::Storefront => &STOREFRONT,
        Service::Checkout => &CHECKOUT,
        Service::Catalog => &CATALOG,
        Service::Payments => &PAYMENTS,
    }
}

/// The stack of a service that waits.
pub fn idle(service: Service) -> &'static [Frame] {
    match service {
        Service::Storefront => &[("(idle)", "", 0)],
        Service::Checkout => {
            &[("runtime.gopark", "runtime/proc.go", 424), ("runtime.schedule", "runtime/proc.go", 3996)]
        }
        Service::Catalog => &[("select", "selectors.py", 468), ("run_once", "asyncio/base_events.py", 1962)],
        Service::Payments => {
            &[("jdk.internal.misc.Unsafe.park", "Unsafe.java", 0), ("java.lang.Thread.run", "Thread.java", 1583)]
        }
    }
}

/// The frames of a stack, then those that all stacks of the service end with.
macro_rules! stack {
    ([$($root:expr),*]; $($frame:expr),+) => { &[$($frame,)+ $($root),*] };
}

macro_rules! stacks {
    ($(#[$doc:meta] $name:ident[$n:literal] under $root:tt { $($cpu:literal $memory:literal: $($frame:expr),+;)* })*) => {
        $(#[$doc] static $name: [Stack; $n] = [$((stack!($root; $($frame),+), $cpu, $memory)),*];)*
    };
}

stacks! {
    /// Node.js
    STOREFRONT[7] under [
        ("handle", "node_modules/router/lib/layer.js", 152),
        ("parserOnIncoming", "node:_http_server", 1153),
        ("(root)", "", 0)
    ] {
        30 18: ("renderPrice", "src/views/price.js", 31), ("renderPage", "src/views/page.js", 64), ("product", "src/routes/pages.js", 88);
        22 25: ("renderList", "src/views/list.js", 22), ("renderPage", "src/views/page.js", 64), ("home", "src/routes/pages.js", 41);
        14 9: ("JSON.parse", "", 0), ("json", "src/clients/catalog.js", 27), ("search", "src/routes/pages.js", 117);
        12 22: ("gzip", "node:zlib", 388), ("send", "src/routes/pages.js", 19);
        9 6: ("sign", "src/session.js", 55), ("session", "src/session.js", 12);
        8 12: ("writeHead", "node:_http_server", 345), ("send", "src/routes/pages.js", 19);
        5 8: ("(garbage collector)", "", 0), ("checkout", "src/routes/checkout.js", 73);
    }
    /// Go
    CHECKOUT[5] under [
        ("net/http.(*conn).serve", "net/http/server.go", 2102),
        ("runtime.goexit", "runtime/asm_amd64.s", 1700)
    ] {
        34 30: ("encoding/json.(*encodeState).marshal", "encoding/json/encode.go", 297), ("shop/checkout.(*Server).Order", "checkout/order.go", 91);
        26 15: ("crypto/tls.(*Conn).Write", "crypto/tls/conn.go", 1231), ("google.golang.org/grpc.(*clientStream).SendMsg", "grpc/stream.go", 876), ("shop/checkout.(*Server).charge", "checkout/charge.go", 44);
        18 22: ("github.com/jackc/pgx/v5.(*Conn).Exec", "pgx/conn.go", 420), ("shop/checkout.(*Server).Order", "checkout/order.go", 77);
        12 25: ("runtime.mallocgc", "runtime/malloc.go", 1029), ("shop/checkout.(*Cart).Add", "checkout/cart.go", 38);
        10 8: ("shop/checkout.(*Server).publish", "checkout/publish.go", 21), ("shop/checkout.(*Server).Order", "checkout/order.go", 104);
    }
    /// Python
    CATALOG[5] under [
        ("run_endpoint_function", "fastapi/routing.py", 214),
        ("__call__", "starlette/middleware/base.py", 177),
        ("<module>", "catalog/__main__.py", 9)
    ] {
        36 35: ("rank", "catalog/search.py", 58), ("search", "catalog/views.py", 83);
        24 20: ("fetchall", "psycopg/cursor.py", 228), ("featured", "catalog/views.py", 31);
        18 25: ("dumps", "json/__init__.py", 231), ("one", "catalog/views.py", 52);
        12 8: ("get", "redis/commands/core.py", 1829), ("cached", "catalog/cache.py", 17), ("one", "catalog/views.py", 49);
        10 12: ("validate", "pydantic/main.py", 703), ("reserve", "catalog/views.py", 110);
    }
    /// Java
    PAYMENTS[4] under [
        ("io.grpc.internal.ServerImpl$JumpToApplicationThreadServerStreamListener.messagesAvailable", "ServerImpl.java", 882),
        ("java.util.concurrent.ThreadPoolExecutor.runWorker", "ThreadPoolExecutor.java", 1144),
        ("java.lang.Thread.run", "Thread.java", 1583)
    ] {
        40 25: ("sun.security.ssl.SSLEngineImpl.wrap", "SSLEngineImpl.java", 136), ("shop.payments.Provider.charge", "Provider.java", 74), ("shop.payments.ChargeService.charge", "ChargeService.java", 41);
        25 30: ("com.fasterxml.jackson.databind.ObjectMapper.readValue", "ObjectMapper.java", 3825), ("shop.payments.Provider.charge", "Provider.java", 88), ("shop.payments.ChargeService.charge", "ChargeService.java", 41);
        20 20: ("org.postgresql.jdbc.PgPreparedStatement.executeUpdate", "PgPreparedStatement.java", 150), ("shop.payments.Ledger.write", "Ledger.java", 33), ("shop.payments.ChargeService.charge", "ChargeService.java", 52);
        15 25: ("shop.payments.Fraud.score", "Fraud.java", 120), ("shop.payments.ChargeService.charge", "ChargeService.java", 38);
    }
}
