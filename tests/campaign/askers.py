"""Who asks: each answer is held against what was acknowledged a second before the question."""

import http.client
import json
import random
import threading
import time

from senders import ITEMS

# What was acknowledged so long before a question is in its answer.
VISIBLE_WITHIN = 1.0

# They take what memory there is, each in its own way: DuckDB's own, what it puts on the disk, and what it does not count.
TAKE_MEMORY = (
    "SELECT list(range) FROM range(40000000)",
    "SELECT count(*) FROM (SELECT DISTINCT a.range, b.range FROM range(2500) a, range(2500) b)",
    "SELECT sum(damerau_levenshtein(repeat('a', 9000), repeat('b', 9000 + range::INT))) FROM range(20)",
)


class Answer:
    def __init__(self, status, warning, rows, seconds):
        self.status, self.warning, self.rows, self.seconds = status, warning, rows, seconds

    @property
    def counts(self):
        """Whether it claims to be whole."""
        return self.status == 200 and not self.warning


def ask(port, statement, timeout=60):
    """The answer, or None if there was none or it broke off."""
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        headers = {"content-type": "text/plain", "accept": "application/json"}
        connection.request("POST", "/api/v1/sql", body=statement, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    seconds = time.monotonic() - started
    if answer.status != 200:
        return Answer(answer.status, None, None, seconds)
    body = json.loads(text)
    rows = [list(row.values()) if isinstance(row, dict) else row for row in body["rows"]]
    warning = answer.headers.get("x-vispyr-warning") or (body.get("truncated") and "truncated") or body.get("error")
    return Answer(200, warning, rows, seconds)


class Asker(threading.Thread):
    def __init__(self, port, senders, ledger, seed):
        super().__init__(daemon=True)
        self.port, self.senders, self.ledger = port, senders, ledger
        self.random = random.Random(seed)
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.wait(self.pause):
            try:
                self.once()
            except Exception as error:
                self.ledger.fault(f"{type(self).__name__}: {error!r}")

    def stop(self):
        self.stopping.set()
        self.join()


class Counts(Asker):
    """How many rows a sender has: none is missing, none is twice."""

    pause = 0.1

    def once(self):
        sender = self.random.choice(self.senders)
        asked = time.monotonic()
        least = sender.acknowledged_before(asked - VISIBLE_WITHIN) * ITEMS
        statement = f"SELECT count(*), count(DISTINCT {sender.id}) FROM {sender.table} WHERE {sender.where()}"
        answer = ask(self.port, statement)
        most = sender.sent * ITEMS
        self.ledger.answer("counts", answer)
        if answer and answer.counts:
            rows, distinct = map(int, answer.rows[0])
            what = f"{sender.name_there} in {sender.table}: {rows} rows, {distinct} different, asked at {asked:.3f} for {answer.seconds:.2f} s"
            if rows < least:
                self.ledger.fault(f"SHORT {what}, {least} acknowledged a second before")
            if rows != distinct:
                self.ledger.fault(f"TWICE {what}")
            if rows > most:
                self.ledger.fault(f"INVENTED {what}, {most} sent")


class One(Asker):
    """One request's rows: all of them, old or young."""

    pause = 0.1

    def once(self):
        sender = self.random.choice(self.senders)
        known = sender.acknowledged_before(time.monotonic() - VISIBLE_WITHIN)
        if not known:
            return
        # The youngest as often as any.
        seq = sender.numbers[self.random.choice([self.random.randrange(known), known - 1])]
        answer = ask(self.port, f"SELECT count(*) FROM {sender.table} WHERE {sender.where_one(seq)}")
        self.ledger.answer("one", answer)
        if answer and answer.counts and int(answer.rows[0][0]) != ITEMS:
            self.ledger.fault(f"SHORT {sender.name_there} in {sender.table}, request {seq}: {answer.rows[0][0]} rows, not {ITEMS}")


class Hogs(Asker):
    """Readers at their memory's limit."""

    pause = 0.3

    def once(self):
        answer = ask(self.port, self.random.choice(TAKE_MEMORY))
        self.ledger.answer("memory", answer)
