//! Attributes and resources in OTLP's messages.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::shop::Service;

/// The version of the semantic conventions that the shop follows.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.39.0";

/// A value of any type, from what Rust has.
pub trait IntoValue {
    /// The value.
    fn into_value(self) -> Value;
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::StringValue(self.to_owned())
    }
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::StringValue(self)
    }
}

impl IntoValue for i64 {
    fn into_value(self) -> Value {
        Value::IntValue(self)
    }
}

impl IntoValue for u16 {
    fn into_value(self) -> Value {
        Value::IntValue(self.into())
    }
}

impl IntoValue for u32 {
    fn into_value(self) -> Value {
        Value::IntValue(self.into())
    }
}

impl IntoValue for bool {
    fn into_value(self) -> Value {
        Value::BoolValue(self)
    }
}

impl IntoValue for f64 {
    fn into_value(self) -> Value {
        Value::DoubleValue(self)
    }
}

/// A value by itself, as the body of a log record.
pub fn any(value: impl IntoValue) -> AnyValue {
    AnyValue { value: Some(value.into_value()) }
}

/// An attribute.
pub fn attribute(key: &str, value: impl IntoValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

/// The resource of a service: one instance of each runs on the demo's host.
pub fn resource(service: Service) -> Resource {
    let (runtime, version) = match service {
        Service::Storefront => ("nodejs", "22.20.0"),
        Service::Checkout => ("go", "go1.25.3"),
        Service::Catalog => ("CPython", "3.13.7"),
        Service::Payments => ("OpenJDK Runtime Environment", "21.0.8+9"),
    };
    let attributes = vec![
        attribute("service.name", service.name()),
        attribute("service.namespace", "shop"),
        attribute("service.version", "1.4.2"),
        attribute("service.instance.id", format!("{}-1", service.name())),
        attribute("deployment.environment.name", "demo"),
        attribute("host.name", "demo-host"),
        attribute("process.pid", 4000 + i64::from(service.port())),
        attribute("process.runtime.name", runtime),
        attribute("process.runtime.version", version),
        attribute("telemetry.sdk.name", "opentelemetry"),
        attribute("telemetry.sdk.language", service.language()),
        attribute("telemetry.sdk.version", "1.38.0"),
    ];
    Resource { attributes, ..Resource::default() }
}

/// An instrumentation scope.
pub fn scope(name: &str, version: &str) -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: name.into(), version: version.into(), ..InstrumentationScope::default() })
}
