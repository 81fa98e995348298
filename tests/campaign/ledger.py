"""What was seen, and what does not add up."""

import collections
import threading
import time


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.kills = collections.Counter()
        self.answers = collections.defaultdict(collections.Counter)
        self.seconds = collections.defaultdict(list)
        self.faults = []
        self.started = time.monotonic()

    def answer(self, kind, answer):
        with self.lock:
            if answer is None:
                self.answers[kind]["none"] += 1
                return
            self.answers[kind][f"{answer.status}{' with a warning' if answer.warning else ''}"] += 1
            if answer.counts:
                self.seconds[kind].append(answer.seconds)

    def fault(self, what):
        with self.lock:
            self.faults.append(what)
        self.say(f"FAULT {what}")

    def say(self, line):
        print(f"{time.monotonic() - self.started:7.1f} s  {line}", flush=True)

    def show(self, senders):
        """All of it, as a table."""
        print(f"\nkills: {sum(self.kills.values())}: " + ", ".join(f"{name} {number}" for name, number in sorted(self.kills.items())))
        print(f"{'sender':<14}{'table':<16}{'requests':>10}{'acknowledged':>14}{'in doubt':>10}")
        for sender in senders:
            print(f"{sender.name_there:<14}{sender.table:<16}{sender.sent:>10}{len(sender.numbers):>14}{len(sender.in_doubt):>10}")
        for kind, answers in sorted(self.answers.items()):
            seconds = sorted(self.seconds[kind])
            p = lambda share: seconds[min(len(seconds) - 1, int(len(seconds) * share))] if seconds else 0.0
            told = ", ".join(f"{name}: {number}" for name, number in sorted(answers.items()))
            print(f"answers, {kind:<8}{told}; whole ones after {p(0.5) * 1000:.0f} ms (p50), {p(0.95) * 1000:.0f} ms (p95), {p(1) * 1000:.0f} ms (longest)")
        print(f"faults: {len(self.faults)}")
        for fault in self.faults[:50]:
            print(f"  {fault}")


def settle(sender, ask):
    """What became of each request: how many rows the store has of it. Asks until all that was acknowledged is there."""
    rows, statement = {}, f"SELECT {sender.key}, count(*), count(DISTINCT {sender.id}) FROM {sender.table} WHERE {sender.where()} GROUP BY 1"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        answer = ask(statement)
        if answer and answer.counts:
            rows = {sender.seq_of(key): (int(count), int(distinct)) for key, count, distinct in answer.rows}
            if all(seq in rows for seq in sender.numbers):
                break
        time.sleep(0.5)
    return rows


def compare(sender, rows, items, ledger, when):
    """Acknowledged is stored, once; in doubt is stored once, or not at all; nothing else is there."""
    name = f"{sender.name_there} in {sender.table}, {when}"
    acknowledged = set(sender.numbers)
    missing = [seq for seq in acknowledged if seq not in rows]
    odd = {seq: counts for seq, counts in rows.items() if counts != (items, items)}
    strangers = [seq for seq in rows if seq not in acknowledged and seq not in sender.in_doubt]
    if missing:
        ledger.fault(f"LOST {name}: {len(missing)} acknowledged requests, such as {sorted(missing)[:5]}")
    if odd:
        ledger.fault(f"NOT ONCE {name}: rows and different ones of {len(odd)} requests, such as {list(odd.items())[:5]}")
    if strangers:
        ledger.fault(f"INVENTED {name}: {strangers[:5]}")
    return sum(seq in rows for seq in sender.in_doubt)
