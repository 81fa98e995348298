import io.opentelemetry.instrumentation.runtimetelemetry.RuntimeTelemetry;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.util.ArrayList;
import java.util.List;

/** A JVM that is at work: OpenTelemetry's metrics of its runtime go to OTLP_URL until it is ended. */
class App {
  public static void main(String[] arguments) throws InterruptedException {
    var telemetry = AutoConfiguredOpenTelemetrySdk.initialize().getOpenTelemetrySdk();
    try (var runtime = RuntimeTelemetry.create(telemetry)) {
      List<byte[]> held = new ArrayList<>();
      while (true) {
        // Some is held for long, most is not: there are collections of both kinds.
        held.add(new byte[100_000]);
        if (held.size() > 200) {
          held.subList(0, 150).clear();
          System.gc();
        }
        Thread.sleep(5);
      }
    }
  }
}
