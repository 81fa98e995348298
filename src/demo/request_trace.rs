//! One request's way through the shop: who calls whom, how long each takes, what fails.

use rand::Rng;
use rand::rngs::SmallRng;

use super::load::{Conditions, latency};
use super::shop::*;

/// Products have the numbers 1 to this. Few, because each path is a series of the span metrics.
const PRODUCTS: u32 = 24;

/// How a call ended.
struct Outcome {
    end: u64,
    status: u16,
    fault: Option<Fault>,
}

impl Outcome {
    fn ok(end: u64) -> Outcome {
        Outcome { end, status: 200, fault: None }
    }
}

/// A request under way.
pub struct RequestTrace<'a> {
    rng: &'a mut SmallRng,
    conditions: Conditions,
    trace_id: [u8; 16],
    activities: Vec<Activity>,
    cause: Option<([u8; 16], u64)>,
    order: Option<u64>,
}

static TYPE_ERROR: Exception = Exception {
    class: "TypeError",
    message: "Cannot read properties of undefined (reading 'price')",
    stacktrace: "TypeError: Cannot read properties of undefined (reading 'price')\n    \
        at renderPrice (/app/src/views/price.js:31:22)\n    at /app/src/routes/pages.js:88:17\n    \
        at Layer.handle (/app/node_modules/router/lib/layer.js:152:17)",
};

static PROVIDER_TIMEOUT: Exception = Exception {
    class: "java.net.http.HttpTimeoutException",
    message: "request timed out",
    stacktrace: "java.net.http.HttpTimeoutException: request timed out\n\
        \tat java.net.http/jdk.internal.net.http.HttpClientImpl.send(HttpClientImpl.java:950)\n\
        \tat shop.payments.Provider.charge(Provider.java:74)\n\tat shop.payments.ChargeService.charge(ChargeService.java:41)",
};

impl<'a> RequestTrace<'a> {
    /// A request about to begin.
    pub fn new(rng: &'a mut SmallRng, conditions: Conditions) -> RequestTrace<'a> {
        let trace_id = rng.random();
        RequestTrace { rng, conditions, trace_id, activities: Vec::with_capacity(16), cause: None, order: None }
    }

    /// The finished trace.
    pub fn arrive(self) -> Visit {
        Visit { trace_id: self.trace_id, activities: self.activities, cause: self.cause, order: self.order }
    }

    /// The span that put an order on the topic, if one did: its id and end.
    pub fn published(&self) -> Option<(u64, u64)> {
        self.activities.iter().find(|a| a.operation == Operation::Publish).map(|a| (a.id, a.end))
    }

    /// Somebody asks for a page.
    pub fn go(&mut self, at: u64) {
        let product = self.rng.random_range(1..=PRODUCTS);
        match self.rng.random_range(0..100) {
            0..20 => self.page(at, &HOME, "/".into(), |trace, span, now| {
                trace.http(Service::Storefront, span, now, &CATALOG_LIST, "/api/products".into(), |trace, span, now| {
                    trace.cached(span, now, "SELECT", "SELECT id, name, price FROM products WHERE featured", 12)
                })
            }),
            20..55 => self.page(at, &PRODUCT, format!("/products/{product}"), |trace, span, now| {
                trace.http(
                    Service::Storefront,
                    span,
                    now,
                    &CATALOG_ONE,
                    format!("/api/products/{product}"),
                    |trace, span, now| trace.product(span, now),
                )
            }),
            55..70 => self.page(at, &SEARCH, "/search".into(), |trace, span, now| {
                trace.http(Service::Storefront, span, now, &CATALOG_SEARCH, "/api/search".into(), |trace, span, now| {
                    trace.search(span, now)
                })
            }),
            70..83 => self.page(at, &ADD_TO_CART, "/cart/items".into(), |trace, span, now| {
                let cart = trace.rng.random_range(1000..1016);
                let path = format!("/api/carts/{cart}/items");
                trace.http(Service::Storefront, span, now, &CART_ADD, path, |trace, span, now| {
                    let end = trace.redis(Service::Checkout, span, now, "HSET", None);
                    Outcome::ok(end)
                })
            }),
            83..95 => self.page(at, &BUY, "/checkout".into(), |trace, span, now| {
                trace.http(Service::Storefront, span, now, &ORDER, "/api/orders".into(), |trace, span, now| {
                    trace.place_order(span, now)
                })
            }),
            _ => {
                let (index, _) = self.serve(None, at, &HEALTH, "/healthz".into());
                let end = at + latency(self.rng, 0.4, 0.4);
                self.finish(index, Outcome::ok(end));
            }
        }
    }

    /// An order taken from the topic: a trace of its own that points back at its cause.
    pub fn handle_order(mut self, (publisher, published_at): (u64, u64), cause: [u8; 16]) -> Visit {
        self.cause = Some((cause, publisher));
        let at = published_at + latency(self.rng, 25.0, 0.8);
        let (index, span) = self.begin(Service::Checkout, None, at, Operation::Process);
        let now = at + latency(self.rng, 0.5, 0.3);
        let reserve = self.http(
            Service::Checkout,
            span,
            now,
            &CATALOG_RESERVE,
            "/api/stock/reserve".into(),
            |trace, span, now| {
                let text = "UPDATE stock SET available = available - $1 WHERE product_id = $2";
                Outcome::ok(trace.sql(Service::Catalog, span, now, ("UPDATE", "stock", text, 1), 3.0, 0.5))
            },
        );
        let text = "UPDATE orders SET state = 'accepted' WHERE id = $1";
        let end = self.sql(Service::Checkout, span, reserve.end, ("UPDATE", "orders", text, 1), 2.5, 0.5);
        self.finish(index, Outcome::ok(end + 200_000));
        self.arrive()
    }

    /// A page of the storefront, rendered after `inner`.
    fn page(
        &mut self,
        at: u64,
        endpoint: &'static Endpoint,
        target: String,
        inner: impl FnOnce(&mut Self, u64, u64) -> Outcome,
    ) {
        let (index, span) = self.serve(None, at, endpoint, target);
        let now = at + latency(self.rng, 1.2, 0.4);
        let mut outcome = inner(self, span, now);
        if let Some(fault) = &mut outcome.fault {
            // The storefront shows a page of its own; what it was told decides which.
            fault.kind = outcome.status.to_string();
            fault.exception = None;
        } else if self.rng.random_bool(self.conditions.bugs) {
            outcome.status = 500;
            outcome.fault = Some(Fault { kind: TYPE_ERROR.class.into(), exception: Some(&TYPE_ERROR) });
        }
        let (render, _) = self.begin(
            Service::Storefront,
            Some(span),
            outcome.end + 50_000,
            Operation::Internal { name: "render page" },
        );
        let end = outcome.end + 100_000 + latency(self.rng, 3.0, 0.5);
        self.finish(render, Outcome::ok(end));
        self.finish(index, Outcome { end: end + 80_000, ..outcome });
    }

    /// A call from one service to another over HTTP: a client span around a server span.
    fn http(
        &mut self,
        caller: Service,
        parent: u64,
        at: u64,
        endpoint: &'static Endpoint,
        path: String,
        inner: impl FnOnce(&mut Self, u64, u64) -> Outcome,
    ) -> Outcome {
        let (host, port) = (endpoint.service.name(), endpoint.service.port());
        let operation = Operation::HttpClient { method: endpoint.method, host, port, path: path.clone(), status: 0 };
        let (client, client_span) = self.begin(caller, Some(parent), at, operation);
        let arrived = at + latency(self.rng, 0.3, 0.4);
        let (server, server_span) = self.serve(Some(client_span), arrived, endpoint, path);
        let began = arrived + latency(self.rng, 0.6, 0.5);
        let mut outcome = inner(self, server_span, began);
        outcome.end += latency(self.rng, 0.7, 0.5);
        let passed_on = (outcome.status >= 400).then(|| Fault { kind: outcome.status.to_string(), exception: None });
        let end = outcome.end + latency(self.rng, 0.3, 0.4);
        let status = outcome.status;
        self.finish(server, outcome);
        self.finish(client, Outcome { end, status, fault: passed_on.clone() });
        Outcome { end, status, fault: passed_on }
    }

    fn product(&mut self, span: u64, now: u64) -> Outcome {
        if self.rng.random_bool(0.01) {
            return Outcome { end: now + latency(self.rng, 1.0, 0.3), status: 404, fault: None };
        }
        self.cached(span, now, "SELECT", "SELECT id, name, price, text FROM products WHERE id = %s", 1)
    }

    /// A look into the cache, then into the database when it does not know.
    fn cached(&mut self, span: u64, now: u64, operation: &'static str, text: &'static str, rows: u32) -> Outcome {
        let hit = !self.rng.random_bool(self.conditions.cache_misses);
        let mut end = self.redis(Service::Catalog, span, now, "GET", Some(hit));
        if !hit {
            end = self.sql(Service::Catalog, span, end + 50_000, (operation, "products", text, rows), 6.0, 0.7);
            end = self.redis(Service::Catalog, span, end + 50_000, "SETEX", None);
        }
        Outcome::ok(end)
    }

    fn search(&mut self, span: u64, now: u64) -> Outcome {
        let text = "SELECT id, name, price FROM products WHERE to_tsvector(text) @@ plainto_tsquery(%s) LIMIT 20";
        let median = 28.0 * self.conditions.search_slowdown;
        let rows = self.rng.random_range(0..=20);
        let mut end = self.sql(Service::Catalog, span, now, ("SELECT", "products", text, rows), median, 0.8);
        // The classic: one more question for each of the first rows.
        for _ in 0..rows.min(4) {
            let text = "SELECT available FROM stock WHERE product_id = %s";
            end = self.sql(Service::Catalog, span, end + 100_000, ("SELECT", "stock", text, 1), 1.5, 0.5);
        }
        Outcome::ok(end)
    }

    fn place_order(&mut self, span: u64, now: u64) -> Outcome {
        let cents = latency(self.rng, 4_500.0, 0.7) / 1_000_000;
        let end = self.redis(Service::Checkout, span, now, "HGETALL", None);
        let text = "INSERT INTO orders (id, customer, total, state) VALUES ($1, $2, $3, 'new')";
        let end = self.sql(Service::Checkout, span, end, ("INSERT", "orders", text, 1), 4.0, 0.5);
        let charged = self.charge(span, end + 100_000);
        if charged.fault.is_some() {
            return charged;
        }
        let (publish, _) = self.begin(Service::Checkout, Some(span), charged.end, Operation::Publish);
        let end = charged.end + latency(self.rng, 1.8, 0.5);
        self.finish(publish, Outcome::ok(end));
        self.order = Some(cents);
        Outcome { end: end + 60_000, status: 201, fault: None }
    }

    /// `Payments/Charge` over gRPC, the provider behind it over HTTPS.
    fn charge(&mut self, parent: u64, at: u64) -> Outcome {
        let (client, client_span) =
            self.begin(Service::Checkout, Some(parent), at, Operation::RpcClient { status: "OK" });
        let arrived = at + latency(self.rng, 0.4, 0.4);
        let (server, span) =
            self.begin(Service::Payments, Some(client_span), arrived, Operation::RpcServer { status: "OK" });
        let now = arrived + latency(self.rng, 0.8, 0.4);
        let operation = Operation::HttpClient {
            method: "POST",
            host: "api.cards.example",
            port: 443,
            path: "/v2/charges".into(),
            status: 0,
        };
        let (provider, _) = self.begin(Service::Payments, Some(span), now, operation);

        let timed_out = self.rng.random_bool(self.conditions.provider_timeouts);
        let declined = self.rng.random_bool(0.06);
        let answered = now + latency(self.rng, 85.0 * self.conditions.provider_slowdown, 0.45).min(2_900_000_000);
        let (status, rpc, http, end) = match (timed_out, declined) {
            (true, _) => (0, "DEADLINE_EXCEEDED", 504, now + 3_000_000_000),
            (false, true) => (402, "FAILED_PRECONDITION", 402, answered),
            (false, false) => (201, "OK", 200, answered),
        };
        let fault = |kind: &str| (rpc != "OK").then(|| Fault { kind: kind.into(), exception: None });
        let exception = timed_out.then_some(&PROVIDER_TIMEOUT);
        let provider_fault = if timed_out { fault("timeout") } else { fault("402") };
        let thrown = provider_fault.map(|fault| Fault { exception, ..fault });
        self.finish(provider, Outcome { end, status, fault: thrown });
        let end = if timed_out {
            end
        } else {
            let text = "INSERT INTO charges (order_id, provider_id, amount) VALUES (?, ?, ?)";
            self.sql(Service::Payments, span, end + 100_000, ("INSERT", "charges", text, 1), 3.0, 0.5)
        };
        self.answer(server, end + 300_000, rpc);
        // A declined card is the client's matter: the server's span is no error.
        let server_fault = if timed_out { fault(rpc) } else { None };
        self.finish(server, Outcome { end: end + 300_000, status: 0, fault: server_fault });
        self.answer(client, end + 700_000, rpc);
        self.finish(client, Outcome { end: end + 700_000, status: 0, fault: fault(rpc) });
        Outcome { end: end + 800_000, status: http, fault: fault(&http.to_string()) }
    }

    fn answer(&mut self, index: usize, end: u64, rpc: &'static str) {
        let activity = &mut self.activities[index];
        activity.end = end;
        match &mut activity.operation {
            Operation::RpcServer { status } | Operation::RpcClient { status } => *status = rpc,
            _ => {}
        }
    }

    fn sql(
        &mut self,
        service: Service,
        parent: u64,
        at: u64,
        (operation, table, text, rows): (&'static str, &'static str, &'static str, u32),
        median: f64,
        sigma: f64,
    ) -> u64 {
        let (index, _) = self.begin(service, Some(parent), at, Operation::Sql { operation, table, text, rows });
        let end = at + 1 + latency(self.rng, median, sigma);
        self.finish(index, Outcome::ok(end));
        end
    }

    fn redis(&mut self, service: Service, parent: u64, at: u64, command: &'static str, hit: Option<bool>) -> u64 {
        let (index, _) = self.begin(service, Some(parent), at, Operation::Redis { command, hit });
        let end = at + 1 + latency(self.rng, 0.5, 0.4);
        self.finish(index, Outcome::ok(end));
        end
    }

    fn serve(&mut self, parent: Option<u64>, at: u64, endpoint: &'static Endpoint, target: String) -> (usize, u64) {
        self.begin(endpoint.service, parent, at, Operation::HttpServer { endpoint, target, status: 0 })
    }

    fn begin(&mut self, service: Service, parent: Option<u64>, start: u64, operation: Operation) -> (usize, u64) {
        let id = self.rng.random_range(1..=u64::MAX);
        self.activities.push(Activity { service, id, parent, start, end: start + 1, operation, fault: None });
        (self.activities.len() - 1, id)
    }

    /// Ends a span. A 4xx answer is an error of the client's span only (HTTP semantic conventions).
    fn finish(&mut self, index: usize, outcome: Outcome) {
        let activity = &mut self.activities[index];
        activity.end = outcome.end.max(activity.start + 1);
        activity.fault = outcome.fault;
        match &mut activity.operation {
            Operation::HttpServer { status, .. } => {
                *status = outcome.status;
                if outcome.status < 500 {
                    activity.fault = None;
                }
            }
            Operation::HttpClient { status, .. } => *status = outcome.status,
            _ => {}
        }
    }
}
