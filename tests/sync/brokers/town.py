"""An office, its broker and two gates as real processes on both sides. Each process has its own keys and disk."""

import os
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime

from gated.gallery.holdings import Holdings
from gated.gallery.register import Register
from gated.journal.journal import Journal
from gated.office.command_store import new_id
from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.office.office_person import OfficePerson
from gated.office.running_processes import Waiting
from gated.office.store import Store
from gated.people.acceptances import THIS_GATE
from gated.protocol.wire_records import WireConsent
from gated.simulator.network import free_port, join
from gated.types import SubjectId

SITE = "market-south"
AT = datetime.now(UTC).isoformat()
PATIENCE_S = 60.0


class Town:
    """An office behind a broker, and two gates that have joined it.

    `way` can put a proxy between a gate and the broker.
    """

    def __init__(self, folder, broker, gate_at, stack, wait_for, way=lambda name: None):
        self.folder, self.broker, self.wait_for = folder, broker, wait_for
        self.office = folder / "office"
        create_office(self.office, SITE, Place("localhost", broker.port, free_port()), datetime.now(UTC))
        self.gates = {
            name: stack.enter_context(gate_at(_made(folder / name))) for name in (broker.spare(), broker.spare())
        }
        for name, gate in self.gates.items():
            sync = join(self.office, gate.state, name).settings()
            files = {"ca": "ca.pem", "cert": f"{name}.pem", "key": f"{name}.key"}
            sync |= {key: str(broker.folder / file) for key, file in files.items()}
            sync |= {"url": way(name) or broker.url, "ack_timeout_s": 1.0, "backoff_max_s": 0.5, "status_s": 5.0}
            gate.write(site={"id": SITE}, gate={"id": name}, models={"dir": "nowhere", "set": "courtyard"}, sync=sync)
        for theirs, ours in (("ca.pem", "ca.pem"), ("OFFICE.pem", "office.pem"), ("OFFICE.key", "office.key")):
            (self.office / ours).write_bytes((broker.folder / theirs).read_bytes())
        broker.ca.private_key_pem.write_to_path(self.office / "ca.key")
        self.store = stack.enter_context(closing(Store.open(self.office)))
        self.serving, self.waiting, self.is_over = None, [], threading.Event()
        stack.callback(self.stop)
        beating = threading.Thread(target=self._beat)
        beating.start()
        stack.callback(lambda: (self.is_over.set(), beating.join(), [waiting.close() for waiting in self.waiting]))

    def serve(self):
        log = (self.folder / "office.log").open("ab")
        command = [sys.executable, "-m", "gated", "office", "--dir", str(self.office), "serve"]
        self.serving = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))

    def stop(self):
        if self.serving is not None:
            self.serving.kill()
            self.serving.wait()

    def start(self):
        self.serve()
        for gate in self.gates.values():
            gate.brain = gate.start("run")
        self.until(lambda: all(self.status(name) == "online" for name in self.gates), "both gates are online")

    def accept(self, gate):
        """Accept at this gate all other gates and all consents that the office reports."""
        with closing(Holdings.open(gate.state, SITE)) as holdings:
            others = [each for each in holdings.neighbours() if not each.is_trusted]
            accepted = [holdings.trust(each.gate, each.keys, THIS_GATE) for each in others]
            holdings.agree(holdings.claims())
        return bool(accepted)

    def until(self, claim, what):
        try:
            self.wait_for(claim, timeout_s=PATIENCE_S, every_s=0.1)
        except AssertionError:
            log = (self.folder / "office.log").read_text()[-1500:]
            gates = "".join(gate.log()[-1500:] for gate in self.gates.values())
            raise AssertionError(f"in vain: {what}\noffice: {log}\ngates: {gates}") from None

    def status(self, name):
        status = self.store.gate(name).status
        return None if status is None else status.state

    def add(self, subject, *purposes, **more):
        consents = [WireConsent(purpose=purpose, reference="paper-7", notice="1", at=AT) for purpose in purposes]
        record = OfficePerson(
            n=0, subject=subject, name="Wang Fang", household="12", added_at=AT, consents=consents, **more
        )
        self.store.book.put(record)
        return record

    def known(self, gate):
        """Return the status of each person known at a gate."""
        with closing(Register.open(gate.state, SITE)) as register:
            return {person.subject: person.status for person in register.people()}

    def templates(self, gate, subject):
        with closing(Register.open(gate.state, SITE)) as register:
            return register.template_count(SubjectId(subject)) if subject in self.known(gate) else 0

    def place(self, name, action):
        """Place a command, wait for it until the test ends, and return its id."""
        order = new_id()
        self.waiting.append(Waiting(self.office, [order]))
        return self.store.commands.place(name, action, "li", "a drill", datetime.now(UTC), command_id=order)

    def order(self, name, action):
        placed = self.place(name, action)
        self.until(lambda: not self.store.commands.get(placed).is_open, f"the answer to {action}")
        return self.store.commands.get(placed).state

    def _beat(self):
        while not self.is_over.wait(0.3):
            for waiting in list(self.waiting):
                waiting.heartbeat()

    def in_step(self, name):
        """Return whether the gate has the office's records, and the office holds each journal row of the gate once."""
        gate, mark = self.gates[name], self.store.gate(name).status.records
        if mark is None or (mark.version, mark.digest) != (self.store.book.version(name), self.store.book.digest(name)):
            return False
        with closing(Journal.open(gate.state, SITE, name)) as journal:
            written = [(entry.seq, entry.hash) for entry in journal.entries(limit=100_000)]
        held = [(row.event.seq, row.event.hash) for row in self.store.journals.rows(gate=name, limit=100_000)]
        return sorted(held) == written


def _made(folder):
    folder.mkdir(parents=True)
    return folder
