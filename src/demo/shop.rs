//! The shop: four services, the pages that people ask of them, and what a request does on its
//! way. A [`Visit`] is one trace, told in the shop's own words; [`super::traces`],
//! [`super::metrics`] and [`super::logs`] put it into OpenTelemetry's.

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::load::Conditions;
use super::request_trace::RequestTrace;

/// The services of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Node.js: the pages that people see.
    Storefront,
    /// Go: carts and orders.
    Checkout,
    /// Python: products, stock, search.
    Catalog,
    /// Java: talks to the payment provider.
    Payments,
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 4] = [Service::Storefront, Service::Checkout, Service::Catalog, Service::Payments];

    /// `service.name`.
    pub fn name(self) -> &'static str {
        match self {
            Service::Storefront => "storefront",
            Service::Checkout => "checkout",
            Service::Catalog => "catalog",
            Service::Payments => "payments",
        }
    }

    /// `telemetry.sdk.language`.
    pub fn language(self) -> &'static str {
        match self {
            Service::Storefront => "nodejs",
            Service::Checkout => "go",
            Service::Catalog => "python",
            Service::Payments => "java",
        }
    }

    /// The port it listens on, for `server.port`.
    pub fn port(self) -> u16 {
        match self {
            Service::Storefront => 8080,
            Service::Checkout => 8081,
            Service::Catalog => 8082,
            Service::Payments => 8083,
        }
    }
}

/// Something that a service answers over HTTP.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Who answers.
    pub service: Service,
    /// `http.request.method`.
    pub method: &'static str,
    /// `http.route`.
    pub route: &'static str,
}

macro_rules! endpoints {
    ($($name:ident = $service:ident $method:literal $route:literal: $doc:literal;)*) => {
        $(#[doc = $doc] pub static $name: Endpoint =
            Endpoint { service: Service::$service, method: $method, route: $route };)*
    };
}

endpoints! {
    HOME = Storefront "GET" "/": "The front page.";
    PRODUCT = Storefront "GET" "/products/:id": "One product's page.";
    SEARCH = Storefront "GET" "/search": "The search page.";
    ADD_TO_CART = Storefront "POST" "/cart/items": "Puts a product into the cart.";
    BUY = Storefront "POST" "/checkout": "Buys what is in the cart.";
    HEALTH = Storefront "GET" "/healthz": "The load balancer's question.";
    CATALOG_LIST = Catalog "GET" "/api/products": "Featured products.";
    CATALOG_ONE = Catalog "GET" "/api/products/{product_id}": "One product.";
    CATALOG_SEARCH = Catalog "GET" "/api/search": "Products that match.";
    CATALOG_RESERVE = Catalog "POST" "/api/stock/reserve": "Sets stock aside for an order.";
    CART_ADD = Checkout "POST" "/api/carts/{cart}/items": "A product into a cart.";
    ORDER = Checkout "POST" "/api/orders": "A cart becomes an order.";
}

/// What a span stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A request answered.
    HttpServer { endpoint: &'static Endpoint, target: String, status: u16 },
    /// A request made to a host.
    HttpClient { method: &'static str, host: &'static str, port: u16, path: String, status: u16 },
    /// `Payments/Charge` answered, with the gRPC status' name.
    RpcServer { status: &'static str },
    /// `Payments/Charge` called.
    RpcClient { status: &'static str },
    /// A statement in PostgreSQL.
    Sql { operation: &'static str, table: &'static str, text: &'static str, rows: u32 },
    /// A command to Redis.
    Redis { command: &'static str, hit: Option<bool> },
    /// A message put on the `orders` topic.
    Publish,
    /// A message of the `orders` topic handled.
    Process,
    /// Work inside a service.
    Internal { name: &'static str },
}

/// What went wrong in a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// `error.type`.
    pub kind: String,
    /// The exception, in the span where it was thrown; `None` where an answer passes it on.
    pub exception: Option<&'static Exception>,
}

/// An exception as an SDK records it.
#[derive(Debug, PartialEq)]
pub struct Exception {
    /// `exception.type`.
    pub class: &'static str,
    /// `exception.message`.
    pub message: &'static str,
    /// `exception.stacktrace`.
    pub stacktrace: &'static str,
}

/// A span in the making. Times are unix nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// Who did it.
    pub service: Service,
    /// Its span id.
    pub id: u64,
    /// The span that it is part of; `None` for the root.
    pub parent: Option<u64>,
    /// Begin.
    pub start: u64,
    /// End.
    pub end: u64,
    /// What.
    pub operation: Operation,
    /// Whether it failed.
    pub fault: Option<Fault>,
}

impl Activity {
    /// Whether it is the service's side of a call, which RED metrics count.
    pub fn is_server(&self) -> bool {
        matches!(self.operation, Operation::HttpServer { .. } | Operation::RpcServer { .. } | Operation::Process)
    }
}

/// A trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// Its id.
    pub trace_id: [u8; 16],
    /// Its spans; the root first.
    pub activities: Vec<Activity>,
    /// The trace and span that caused it, when that was another trace.
    pub cause: Option<([u8; 16], u64)>,
    /// What was bought, in cents.
    pub order: Option<u64>,
}

/// The shop and its dice.
#[derive(Debug)]
pub struct Shop {
    rng: SmallRng,
}

impl Shop {
    /// Opens; the same seed serves the same visits.
    pub fn new(seed: u64) -> Shop {
        Shop { rng: SmallRng::seed_from_u64(seed) }
    }

    /// One request and, after an order, its handling, which is a trace of its own.
    pub fn visit(&mut self, at: u64, conditions: Conditions) -> Vec<Visit> {
        let mut trace = RequestTrace::new(&mut self.rng, conditions);
        trace.go(at);
        let publish = trace.published();
        let visit = trace.arrive();
        let Some(publish) = publish else { return vec![visit] };
        let handled = RequestTrace::new(&mut self.rng, conditions).handle_order(publish, visit.trace_id);
        vec![visit, handled]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_nest_in_their_parents() {
        let mut shop = Shop::new(1);
        for n in 0..2_000 {
            for visit in shop.visit(1_700_000_000_000_000_000 + n, Conditions::USUAL) {
                assert_eq!(visit.activities.iter().filter(|a| a.parent.is_none()).count(), 1);
                for activity in &visit.activities {
                    assert!(activity.start < activity.end, "{activity:?}");
                    let Some(parent) = activity.parent else { continue };
                    let parent = visit.activities.iter().find(|a| a.id == parent).unwrap();
                    assert!(parent.start <= activity.start && activity.end <= parent.end, "{activity:?} in {parent:?}");
                }
            }
        }
    }

    #[test]
    fn every_service_is_seen_and_some_requests_fail() {
        let mut shop = Shop::new(2);
        let visits: Vec<Visit> = (0..3_000).flat_map(|n| shop.visit(n + 1, Conditions::USUAL)).collect();
        for service in Service::ALL {
            assert!(visits.iter().any(|v| v.activities.iter().any(|a| a.service == service)), "{service:?}");
        }
        let failed = visits.iter().filter(|v| v.activities[0].fault.is_some()).count();
        assert!((1..300).contains(&failed), "{failed}");
        assert!(visits.iter().any(|v| v.cause.is_some()) && visits.iter().any(|v| v.order.is_some()));
    }

    #[test]
    fn the_same_seed_serves_the_same_visits() {
        let visits = |seed| (0..50).flat_map(|n| Shop::new(seed).visit(n, Conditions::USUAL)).collect::<Vec<_>>();
        assert_eq!(visits(3), visits(3));
        assert_ne!(visits(3), visits(4));
    }
}
