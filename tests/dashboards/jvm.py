"""A Java program that sends the metrics of its JVM by OpenTelemetry's library."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

from harness import CACHE, Programs, Unavailable, run

SOURCE = pathlib.Path(__file__).resolve().parent / "jvm"
FOLDER = CACHE / "dashboards-jvm"


def prepare() -> list[str]:
    """The command."""
    if not (shutil.which("mvn") and shutil.which("javac") and shutil.which("java")):
        raise Unavailable("no Java with Maven on this machine (packages default-jdk-headless, maven)")
    FOLDER.mkdir(parents=True, exist_ok=True)
    class_path = FOLDER / "class-path"
    stamp = FOLDER / "made-of"
    wanted = "".join(path.read_text() for path in sorted(SOURCE.iterdir()))
    if not stamp.exists() or stamp.read_text() != wanted:
        maven = ["mvn", "-q", "-B", "-ntp", "-f", SOURCE / "pom.xml", "dependency:build-classpath", f"-Dmdep.outputFile={class_path}"]
        run(maven, "Maven", seconds=600)
        run(["javac", "-cp", class_path.read_text(), "-d", FOLDER / "classes", SOURCE / "App.java"], "javac")
        stamp.write_text(wanted)
    return ["java", "-Xmx128m", "-cp", f"{FOLDER / 'classes'}:{class_path.read_text()}", "App"]


def start(programs: Programs, command: list[str], otlp: str) -> None:
    programs.start(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "OTEL_SERVICE_NAME": "real-jvm",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{otlp}",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        },
    )
