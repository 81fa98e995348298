#!/usr/bin/env python3
"""Sends log records to 127.0.0.1:4318, each over a connection of its own, until it is told to end
(SIGTERM). Then it prints what became of them as JSON: the numbers of those acknowledged, and errors
by kind. Until then each acknowledged one is a line on stderr."""

import collections
import http.client
import json
import signal
import sys
import time

acknowledged, errors = [], collections.Counter()
going = True


def stop(*_):
    global going
    going = False


signal.signal(signal.SIGTERM, stop)
run = sys.argv[1]
number = 0
while going:
    number += 1
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": f"{run} {number}"}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    connection = http.client.HTTPConnection("127.0.0.1", 4318, timeout=60)
    try:
        connection.request("POST", "/v1/logs", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status == 200:
            acknowledged.append(number)
            print(number, file=sys.stderr, flush=True)
        else:
            errors[f"status {answer.status}"] += 1
    except Exception as error:
        errors[type(error).__name__] += 1
    finally:
        connection.close()
    time.sleep(0.01)
print(json.dumps({"acknowledged": acknowledged, "errors": errors}))
