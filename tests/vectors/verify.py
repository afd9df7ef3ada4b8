#!/usr/bin/env python3
"""Verify a Ledgerline ledger from its log alone, following docs/format.md.

Usage: verify.py LEDGER_DIR [--digests FILE] [--checkpoint FILE] [--key FILE] [--records FILE]

Prints what was verified, or every problem with its block, in which case it exits with 1.
Standard library only. Nothing in a log is trusted: the only anchor is what --key names.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path

SEGMENT_MAGIC = b"LEDGERLINE LOG 2"
FRAME_MARK = b"LLfr"
FRAME_HEAD = 20
MAX_BLOCK = 512 << 20
KEPT = 64 << 10  # bytes of a dead letter's key and value that are kept
ZERO = bytes(32)
CALLS = "~calls"
LEDGER, KEY, KEY_END, MAPPING, CONTRACT = 1, 2, 3, 4, 5
VERDICTS = range(12)
CAUSES = {*range(1, 10), *range(20, 27)}


class Malformed(Exception):
    """Bytes that do not have the form they should have."""


def require(condition, message):
    if not condition:
        raise Malformed(message)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# ---- Basic forms -------------------------------------------------------------------------------


class Reader:
    """Decodes the basic forms from a byte string, one behind the other."""

    def __init__(self, data):
        self.data, self.pos = data, 0

    def raw(self, n):
        require(n <= len(self.data) - self.pos, f"ends within {n} bytes at {self.pos}")
        self.pos += n
        return self.data[self.pos - n : self.pos]

    def byte(self):
        return self.raw(1)[0]

    def uint(self):
        value = shift = 0
        while True:
            b = self.byte()
            value |= (b & 0x7F) << shift
            if b < 0x80:
                break
            shift += 7
            require(shift < 64, "varint longer than 64 bits")
        require(value < 1 << 64, "varint above 64 bits")
        require(b or not shift, "varint not in its shortest form")
        return value

    def int(self):
        value = self.uint()
        return (value >> 1) ^ -(value & 1)

    def bytes(self):
        return self.raw(self.uint())

    def text(self):
        try:
            return self.bytes().decode()
        except UnicodeDecodeError as error:
            raise Malformed(f"text is not UTF-8: {error}") from None

    def digest(self):
        return self.raw(32)

    def option(self, form):
        flag = self.byte()
        require(flag < 2, f"option begins with {flag:#04x}")
        return form() if flag else None

    def list(self, form):
        return [form() for _ in range(self.uint())]

    def small(self, what):
        value = self.uint()
        require(value < 1 << 32, f"{what} {value} is above 32 bits")
        return value

    def partition(self):
        return self.text(), self.small("epoch"), self.small("partition")

    def end(self, what):
        require(self.pos == len(self.data), f"{len(self.data) - self.pos} bytes left over in {what}")


def uint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def sint(value):
    return uint(value << 1 if value >= 0 else ~(value << 1))


def blob(data):
    data = data.encode() if isinstance(data, str) else data
    return uint(len(data)) + data


def option(value, encode):
    return b"\0" if value is None else b"\1" + encode(value)


# ---- CRC-32C, LZ4, Merkle tree, Ed25519 --------------------------------------------------------


def _crc_table():
    for c in range(256):
        for _ in range(8):
            c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
        yield c


CRC_TABLE = list(_crc_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for b in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ b) & 0xFF]
    return crc ^ 0xFFFFFFFF


def lz4_block(data, size):
    """Decompress one LZ4 block, which must give exactly `size` bytes."""
    source, out = Reader(data), bytearray()

    def length(nibble):
        if nibble == 15:
            while (more := source.byte()) == 255:
                nibble += 255
            nibble += more
        return nibble

    while True:
        token = source.byte()
        out += source.raw(length(token >> 4))
        if source.pos == len(data):
            break
        offset = int.from_bytes(source.raw(2), "little")
        require(0 < offset <= len(out), "LZ4 match outside of the block")
        count = length(token & 15) + 4
        require(len(out) + count <= size, "LZ4 block longer than announced")
        while count:  # a match may overlap what it produces
            chunk = out[-offset:][:count]
            out += chunk
            count -= len(chunk)
    require(len(out) == size, f"LZ4 block of {len(out)} bytes, announced {size}")
    return bytes(out)


class Tree:
    """An append-only RFC 6962 tree; keeps every leaf's hash and the roots of the full subtrees."""

    def __init__(self, hashes=()):
        self.hashes, self.peaks = [], []
        for h in hashes:
            self.add_hash(h)

    def add(self, leaf):
        self.add_hash(sha256(b"\0", leaf))

    def add_hash(self, h):
        self.hashes.append(h)
        size = len(self.hashes)
        while not size & 1:
            h = sha256(b"\1", self.peaks.pop(), h)
            size >>= 1
        self.peaks.append(h)

    def root(self):
        if not self.peaks:
            return sha256()
        *rest, root = self.peaks
        for peak in reversed(rest):
            root = sha256(b"\1", peak, root)
        return root

    def __len__(self):
        return len(self.hashes)


P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def point_add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_mul(n, p):
    result = (0, 1, 1, 0)
    while n:
        if n & 1:
            result = point_add(result, p)
        p, n = point_add(p, p), n >> 1
    return result


def point_decode(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - x2) % P or (not x and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point_decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_verify(key, message, signature):
    """RFC 8032, section 5.1.7, in the form without cofactor."""
    a, r = point_decode(key), point_decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if not a or not r or s >= L or len(signature) != 64:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    p, q = point_mul(s, BASE), point_add(r, point_mul(k, a))
    return not ((p[0] * q[2] - q[0] * p[2]) % P or (p[1] * q[2] - q[1] * p[2]) % P)


# ---- Signed notes ------------------------------------------------------------------------------


def key_id(name, key):
    return sha256(name.encode(), b"\n\1", key)[:4]


class Checkpoint:
    """A signed tree head: a C2SP signed-note around a C2SP tlog-checkpoint."""

    def __init__(self, note):
        text, blank, signatures = note.rpartition("\n\n")
        require(blank and signatures.endswith("\n"), "checkpoint is not a signed note")
        require(not re.search(r"[\0-\x09\x0b-\x1f]", note), "checkpoint has control characters")
        self.text, self.signatures = (text + "\n").encode(), []
        for line in signatures[:-1].split("\n"):
            match = re.fullmatch(r"\u2014 ([^\s+]+) (\S+)", line)
            require(match, f"not a signature line: {line!r}")
            try:
                value = base64.b64decode(match[2], validate=True)
            except ValueError:
                value = b""
            exact = base64.b64encode(value).decode() == match[2]  # no stray bits behind the last
            require(exact and len(value) > 4, "signature is not base64")
            self.signatures.append((match[1], value[:4], value[4:]))
        lines = text.split("\n")
        require(len(lines) == 3, f"checkpoint of {len(lines)} lines")
        require(re.fullmatch("0|[1-9][0-9]*", lines[1]), f"tree size {lines[1]!r}")
        self.name, self.size, self.root = lines[0], int(lines[1]), lines[2]

    def signers(self, name, keys):
        """The keys, of those given, that signed; a signature by one of them must be right."""
        found = []
        for signer, ident, signature in self.signatures:
            named = [k for k in keys if signer == name and ident == key_id(name, k)]
            good = [k for k in named if ed25519_verify(k, self.text, signature)]
            require(good or not named, "wrong signature under the checkpoint")
            found += good
        return found


def read_verifier_key(text):
    """Read a signed-note verifier key, NAME+ID+KEY."""
    name, ident, encoded = text.strip().split("+", 2)
    algorithm, *key = base64.b64decode(encoded, validate=True)
    key = bytes(key)
    require(algorithm == 1 and len(key) == 32, "the key is not an Ed25519 key")
    require(bytes.fromhex(ident) == key_id(name, key), "the key's id does not match the key")
    return name, key


# ---- Segments and frames -----------------------------------------------------------------------


def read_frame(data, pos):
    """The durable length, payload and end of the frame at `pos`; None if no whole frame is there."""
    head = data[pos : pos + FRAME_HEAD]
    length = int.from_bytes(head[4:8], "little")
    end = pos + FRAME_HEAD + length
    if len(head) < FRAME_HEAD or head[:4] != FRAME_MARK or end > len(data):
        return None
    payload = data[pos + FRAME_HEAD : end]
    if crc32c(head[4:16] + payload) != int.from_bytes(head[16:], "little"):
        return None
    return int.from_bytes(head[8:16], "little"), payload, end


def is_torn(data, start):
    """Whether what begins at `start` is a tail that was never acknowledged."""
    pos = data.find(FRAME_MARK, start)
    while pos >= 0:
        frame = read_frame(data, pos)
        if frame and frame[0] > start:
            return False
        pos = data.find(FRAME_MARK, pos + 1)
    return True


def read_block(payload):
    require(len(payload) >= 4, "payload without a length")
    size, packed = int.from_bytes(payload[:4], "little"), payload[4:]
    require(size <= MAX_BLOCK and size <= 255 * len(packed), f"announced length of {size} bytes")
    return lz4_block(packed, size)


def read_blocks(directory):
    """Yield the number and bytes of each block; raise Malformed at damage."""
    files = sorted(directory.glob("blocks-*.log"))
    require(files, f"no segments in {directory}")
    number = 0
    for path in files:
        require(path.name == f"blocks-{number:020}.log", f"{path.name} where block {number} is due")
        data, pos, last = path.read_bytes(), len(SEGMENT_MAGIC), path == files[-1]
        if last and len(data) < pos and SEGMENT_MAGIC.startswith(data):
            print(f"note: {path.name}: torn tail at 0", file=sys.stderr)
            return
        require(data.startswith(SEGMENT_MAGIC), f"{path.name} does not begin as a segment")
        while pos < len(data):
            frame = read_frame(data, pos)
            if not frame:
                require(last and is_torn(data, pos), f"{path.name} is damaged at {pos}")
                print(f"note: {path.name}: torn tail at {pos}", file=sys.stderr)
                return
            durable, payload, end = frame
            require(durable <= pos, f"durable length {durable} in a frame at {pos}")
            yield number, read_block(payload)
            number, pos = number + 1, end


# ---- Records -----------------------------------------------------------------------------------


def is_compact(data):
    """Whether bytes are one JSON value without spaces outside of its strings."""

    def refuse(name):
        raise ValueError(name)

    try:
        text = data.decode()
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return not re.search(r"\s", re.sub(r'"(?:[^"\\]|\\.)*"', "", text))


def is_asset(data):
    """Whether bytes are an asset's state."""
    if not is_compact(data):
        return False
    asset = json.loads(data, parse_int=str, parse_float=str)
    if not isinstance(asset, dict) or set(asset) - {"derived"} != {"alerts", "compliant", "state"}:
        return False
    alerts = asset["alerts"]
    return (isinstance(alerts, dict) and set(alerts) == {"active", "raised", "cleared"}
            and all(isinstance(names, list) and all(isinstance(n, str) for n in names)
                    for names in alerts.values())
            and isinstance(asset["compliant"], bool) and isinstance(asset["state"], dict)
            and isinstance(asset.get("derived", {}), dict))


def read_submission(r):
    return r.digest(), r.digest(), r.raw(64), r.uint()


def read_progress(r, fmt):
    progress = r.partition(), r.uint(), r.uint(), r.uint()
    last = r.option(lambda: (r.uint(), r.digest())) if fmt == 2 else None
    return *progress, last


def read_dead_letter(r, fmt):
    """Returns partition, offset, record digest and value digest; checks the part of the value kept."""
    partition, offset = r.partition(), r.uint()
    cause, _place, _message, _timestamp = r.uint(), r.text(), r.text(), r.option(r.int)
    require(cause in CAUSES, f"cause {cause} of a dead letter")
    key, value, size, digest = r.option(r.bytes), r.option(r.bytes), r.uint(), r.digest()
    record = r.option(r.digest) if fmt == 2 else None
    headers = r.list(lambda: (r.text(), r.option(r.bytes)))
    kept = sum(len(n.encode()) + len(v or b"") for n, v in headers)
    require(kept <= KEPT, "dead letter's headers")
    require(len(key or b"") <= KEPT and len(value or b"") == min(size, KEPT), "dead letter's lengths")
    require(size > KEPT or digest == sha256(value or b""), "dead letter's value digest")
    return partition, offset, record, digest


class Transaction:
    """A transaction entry: what was asked for, and its effects."""

    def __init__(self, r, fmt):
        start = r.pos
        self.partition, self.offset, self.output = r.partition(), r.uint(), r.small("output")
        self.time = r.int()
        self.device = (r.text(), r.text()) if fmt == 2 else tuple(r.text().split(":", 1))
        self.record = r.digest() if fmt == 2 else None
        self.value, self.mapping = r.digest(), r.digest()
        self.contract, self.function, self.arguments = r.text(), r.byte(), r.bytes()
        self.bytes, effects = r.data[start : r.pos], r.pos
        self.verdict = r.uint()
        require(self.verdict in VERDICTS, f"verdict {self.verdict}")
        self.detail = r.text() if self.verdict else None
        self.writes = r.list(lambda: (r.text(), r.option(r.bytes), r.option(r.uint)))
        self.effects = r.data[effects:]
        r.end("a transaction")
        require(1 <= self.function <= 5, f"function {self.function}")
        topic, epoch, number = self.partition
        self.id = f"{topic}{f'@{epoch}' if epoch else ''}/{number}/{self.offset}/{self.output}"

    def call_digest(self):
        """The digest of what was asked for by hand."""
        caller = b"".join(map(blob, self.device))
        if self.record is None:  # format 1
            caller = blob(":".join(self.device))
        return sha256(caller, sint(self.time), blob(self.contract), bytes([self.function]),
                      blob(self.arguments))


# ---- The verifier ------------------------------------------------------------------------------


class Verifier:
    """Checks block behind block, and collects problems and what was computed."""

    def __init__(self):
        self.problems, self.number = [], None
        self.name, self.format = None, 0
        self.tree, self.entries = Tree(), 0
        self.hash, self.effects, self.time = ZERO, ZERO, None
        self.registered = {"ledger": set(), "submitter": set()}  # ever
        self.in_force = {"ledger": set(), "submitter": set()}
        self.mappings, self.contracts = set(), {}  # contracts: name -> newest version
        self.versions, self.offsets, self.records = {}, {}, 0
        self.blocks, self.transactions = [], []
        self.record_digests = []  # (partition, offset, record digest, value digest or None)
        self.checkpoint = None

    def check(self, condition, message):
        if not condition:
            self.problems.append(f"block {self.number}: {message}")

    def block(self, number, data):
        self.number = number
        r, fmt = Reader(data), 1
        if data.startswith(b"\x80\0"):
            r.raw(2)
            fmt = r.uint()
            require(fmt == 2, f"format {fmt}")
        self.check(r.uint() == number, "wrong number")
        self.check(r.digest() == self.hash, "wrong hash of the block before")
        first, end = r.uint(), r.uint()
        first_leaf = r.uint() if fmt == 2 else first
        entries_root, effects, records, time = r.digest(), r.digest(), r.digest(), r.int()
        header = data[: r.pos]
        key, seal, note = r.raw(32), r.raw(64), r.text()
        start = r.pos
        submissions = r.list(lambda: read_submission(r))
        progress = r.list(lambda: read_progress(r, fmt))
        filtered = r.list(lambda: (r.partition(), r.list(lambda: (r.uint(), r.uint()))))
        dead = r.list(lambda: read_dead_letter(r, fmt))
        self.check(sha256(data[start : r.pos]) == records, "wrong digest of the records")
        entries = r.list(r.bytes)
        r.end("a block")

        self.check(first == self.entries, f"first entry {first}, {self.entries} is next")
        size = len(self.tree)
        self.check(first_leaf == size, f"first leaf {first_leaf}, tree size {size}")
        self.check(end == first + len(entries), f"entries end {end}")
        self.check(self.time is None or time >= self.time, "earlier than the block before")
        sealers, submitters = set(self.in_force["ledger"]), set(self.in_force["submitter"])
        transactions = [t for e in entries if (t := self.entry(e, fmt, submitters))]
        self.check(fmt == self.format, f"format {fmt} in a ledger of format {self.format}")
        self.check(self.tree.root() == entries_root, "wrong entries root")
        self.effects = sha256(self.effects, sha256(*(t.effects for t in transactions)))
        self.check(self.effects == effects, "wrong effects")

        self.hash = sha256(b"ledgerline/block/v%d\n" % fmt, header)
        if number == 0:
            sealers = self.in_force["ledger"]
        signed = b"ledgerline/seal/v1\n" + blob(self.name or "") + self.hash
        self.check(key in sealers, "sealed by a key that is not in force")
        self.check(ed25519_verify(key, signed, seal), "wrong seal")
        if fmt == 2:
            self.tree.add(b"\3" + header + key + seal)
        self.check_checkpoint(note)
        self.check_submissions(submissions, transactions, submitters)
        self.check_dispositions(progress, filtered, dead, transactions)
        self.effects, self.time = effects, time
        self.blocks.append({"number": number, "format": str(fmt), "hash": self.hash.hex(),
                            "entries_root": entries_root.hex(), "tree_size": len(self.tree),
                            "effects": effects.hex(), "records": records.hex(),
                            "tree_root": self.tree.root().hex()})

    def entry(self, data, fmt, submitters):
        """Check one entry and add it to the tree; returns it if it is a transaction."""
        number = self.entries
        self.entries += 1
        long = len(data) > 0xFFFF
        leaf = b"\xff" + sha256(data) + len(data).to_bytes(8, "big") if long else data
        self.tree.add(leaf)
        r = Reader(data)
        kind = r.byte()
        self.check(number or data.startswith(b"\2\1"), "the first entry does not name the ledger")
        if kind == 2:
            kind, name, version, text = r.byte(), r.text(), r.small("version"), r.text()
            r.end("a definition")
            self.check(kind == CONTRACT or not version, f"version {version} of kind {kind}")
            self.definition(kind, name, (version, text), submitters)
            return None
        require(kind == (1, 4)[fmt - 1], f"entry {number} of type {kind:#04x} in format {fmt}")
        t = Transaction(r, fmt)
        self.transaction(t, number, sha256(b"\0", leaf))
        return t

    def definition(self, kind, name, versioned, submitters):
        version, text = versioned
        require(LEDGER <= kind <= CONTRACT, f"definition of kind {kind}")
        if kind == LEDGER:
            self.check(self.name in (None, name), f"the ledger is named again, {name!r}")
            require(text in ("1", "2"), f"the ledger names the format {text!r}")
            self.check(int(text) > self.format, f"format {text} named in format {self.format}")
            self.name, self.format = self.name or name, max(self.format, int(text))
        elif kind in (KEY, KEY_END):
            require(name in self.in_force, f"key of the role {name!r}")
            require(re.fullmatch("[0-9a-f]{64}", text), f"key {text!r}")
            key = bytes.fromhex(text)
            if kind == KEY:
                self.registered[name].add(key)
                self.in_force[name].add(key)
                if name == "submitter":
                    submitters.add(key)  # may sign in this block already
            else:
                self.check(key in self.in_force[name], f"end of a key not in force, {text}")
                self.in_force[name].discard(key)
        elif kind == MAPPING:
            self.mappings.add(sha256(text.encode()))
        else:
            self.check(version > self.contracts.get(name, -1), f"{name!r} {version} does not rise")
            self.contracts[name] = version

    def transaction(self, t, number, leaf):
        if t.partition[0] == CALLS:
            self.check(t.mapping == ZERO, f"{t.id}: a call with a mapping")
            self.check(t.device[0] == "operator", f"{t.id}: a call of a {t.device[0]!r}")
            digest = t.call_digest()
            self.check(t.value == digest, f"{t.id}: wrong digest of the call")
            self.check(t.record in (None, digest), f"{t.id}: wrong record digest of the call")
            self.check(t.partition[1:] == (0, 0) and not t.output, f"{t.id}: not a place of a call")
        else:
            self.check(t.mapping in self.mappings, f"{t.id}: mapping not defined before")
        if t.verdict == 0:
            self.check(t.contract in self.contracts, f"{t.id}: {t.contract!r} not defined before")
        self.check(t.verdict == 0 or not t.writes, f"{t.id}: invalid, but writes")
        self.check(is_compact(t.arguments), f"{t.id}: arguments are not compact JSON")
        for key, value, replaced in t.writes:
            self.check(value is None or is_asset(value), f"{t.id}: {key!r} is not an asset's state")
            newest = self.versions.get((t.contract, key))
            self.check(replaced == newest, f"{t.id}: replaces {replaced} of {key!r}, not {newest}")
            self.versions[t.contract, key] = number
        self.transactions.append({
            "id": t.id, "entry": number, "leaf_hash": leaf.hex(), "record_digest": t.record and t.record.hex(),
            "value_digest": t.value.hex(), "mapping_digest": t.mapping.hex(),
            "valid": t.verdict == 0})

    def check_checkpoint(self, note):
        try:
            head = Checkpoint(note)
            self.check(head.name == self.name, f"checkpoint of {head.name!r}")
            self.check(head.size == len(self.tree), f"checkpoint of tree size {head.size}")
            root = base64.b64encode(self.tree.root()).decode()
            self.check(head.root == root, "checkpoint of another root")
            signers = head.signers(self.name, self.registered["ledger"])
            self.check(signers, "checkpoint not signed by a key of the ledger")
            self.checkpoint = head
        except Malformed as error:
            self.check(False, str(error))

    def check_submissions(self, submissions, transactions, submitters):
        done = 0
        self.check(all(s[3] for s in submissions), "a submission without a transaction")
        if sum(s[3] for s in submissions) != len(transactions):
            return self.check(False, f"not each of {len(transactions)} transactions is submitted")
        for key, root, signature, count in submissions:
            tree = Tree()
            for t in transactions[done : done + count]:
                tree.add(t.bytes)
            done += count
            signed = b"ledgerline/submission/v1\n" + blob(self.name or "") + root
            self.check(tree.root() == root, "wrong root of a submission")
            self.check(key in submitters, "submission by a key that is not in force")
            self.check(ed25519_verify(key, signed, signature), "wrong signature of a submission")

    def check_dispositions(self, progress, filtered, dead, transactions):
        """One disposition for each record, and progress from where the last block ended."""
        spans = {p[0]: range(p[1], p[2]) for p in progress}
        self.check(len(spans) == len(progress), "two progresses of one partition")
        self.check(len({f[0] for f in filtered}) == len(filtered), "filtered twice of a partition")
        calls = [p for p in spans if p[0] == CALLS]
        self.check(calls in ([], [(CALLS, 0, 0)]), f"calls in {calls}")
        others = {f[0][0] for f in filtered} | {d[0][0] for d in dead}
        self.check(CALLS not in others, "a call that is not a transaction")
        newest = {}  # partition -> offset and output of its newest transaction
        named, ids = {}, set()  # named: partition -> offset -> (kind, record and value digest)

        def dispose(partition, offset, *disposition):
            inside = offset in spans.get(partition, ())
            self.check(inside, f"record {partition}/{offset} is outside of the block's progress")
            before = named.setdefault(partition, {}).setdefault(offset, disposition)
            return before is disposition or before == disposition and before[0] == "transaction"

        for t in transactions:
            self.check(t.id not in ids, f"{t.id} occurs twice")
            ids.add(t.id)
            offset, output = newest.get(t.partition, (-1, 0))
            due = output + 1 if t.offset == offset else 0
            self.check(t.offset >= offset and t.output == due, f"{t.id} where output {due} is due")
            newest[t.partition] = t.offset, t.output
            same = dispose(t.partition, t.offset, "transaction", t.record, t.value)
            self.check(same, f"{t.id}: other digests than of the same record before")
        once = [(p, o, "dead letter", digest, value) for p, o, digest, value in dead]
        for partition, runs in filtered:
            behind = 0
            for first, count in runs:
                rising = count and first >= behind
                behind = first + count
                self.check(rising, f"filtered runs of {partition} do not rise")
                if rising and first in spans.get(partition, ()) and behind <= spans[partition].stop:
                    once += [(partition, o, "filtered", None, None) for o in range(first, behind)]
                else:  # and do not walk an absurd run
                    self.check(False, f"filtered run {partition}/{first}+{count} out of bounds")
        for partition, offset, *disposition in once:
            fresh = dispose(partition, offset, *disposition)
            self.check(fresh, f"record {partition}/{offset} has two dispositions")
        for partition, before, behind, count, last in progress:
            due = self.offsets.get(partition, before)
            self.check(before == due, f"progress of {partition} begins at {before}, not {due}")
            self.check(before <= behind, f"progress of {partition} goes back")
            offsets = named.setdefault(partition, {})
            self.check(len(offsets) == count, f"{partition}: {count} records, {len(offsets)} named")
            if last:
                newest = max(offsets, default=None)
                self.check(last[0] == newest, f"{partition}: last record {last[0]}, not {newest}")
                digest = offsets.get(last[0], (None, None))[1]
                self.check(digest in (None, last[1]), f"{partition}: digest of the last record")
                self.record_digests.append((partition, *last, None))
            self.offsets[partition] = behind
            self.records += count
        for partition, offsets in named.items():
            self.record_digests += [(partition, o, d[1], d[2]) for o, d in offsets.items()]


# ---- Comparisons with what is known from elsewhere ---------------------------------------------


def compare_checkpoint(v, note, trusted):
    """The log must extend the tree that `note` signs."""
    v.number = "(checkpoint)"
    head = Checkpoint(note)
    v.check(head.name == v.name, f"of {head.name!r}, the ledger is {v.name!r}")
    keys = [trusted[1]] if trusted else v.registered["ledger"]
    v.check(head.signers(v.name, keys), "not signed by a key that counts")
    v.check(head.size <= len(v.tree), f"tree size {head.size}, the log has only {len(v.tree)}")
    root = base64.b64encode(Tree(v.tree.hashes[: head.size]).root()).decode()
    v.check(head.root == root, "the log does not extend it: another root")


def compare_digests(v, expected):
    v.number = "(digests)"
    tree = {"size": len(v.tree), "root": v.tree.root().hex()}
    for name, value in (("ledger", v.name), ("tree", tree), ("records", v.records)):
        v.check(expected.get(name, value) == value, f"{name}: {value}")
    for what, ours in (("blocks", v.blocks), ("transactions", v.transactions)):
        theirs = expected[what]
        v.check(len(ours) == len(theirs), f"{len(ours)} {what}, expected {len(theirs)}")
        for mine, other in zip(ours, theirs):
            for field in mine.keys() & other.keys():
                label = f"{what} {mine.get('id', mine.get('number'))} {field}"
                v.check(mine[field] == other[field], f"{label}: {mine[field]}")
            if "verdict" in other:
                valid = other["verdict"] == "valid"
                v.check(mine["valid"] == valid, f"{mine['id']}: {other['verdict']} expected")


def record_digest(record):
    """The record digest and the value's digest of one `kcat -J` line."""
    headers = record.get("headers") or []
    pairs = zip(headers[::2], headers[1::2])
    value = record.get("payload")
    value = None if value is None else sha256(value.encode())
    digest = sha256(b"ledgerline/record/v1\n", option(record.get("ts"), sint),
                    option(record.get("key"), blob),
                    blob(b"".join(blob(n) + option(x, blob) for n, x in pairs)),
                    option(value, bytes))
    return digest, value or sha256()


def compare_records(v, path):
    """Recompute the digests of the source's records; every one in the ledger must be there."""
    v.number = "(records)"
    source = {}
    for line in path.read_text().splitlines():
        record = json.loads(line)
        place = (record["topic"], 0, record["partition"]), record["offset"]
        source[place] = record_digest(record)
    for partition, offset, digest, value in v.record_digests:
        if partition[0] == CALLS:
            continue
        theirs = source.get((partition, offset))
        place = f"{partition}/{offset}"
        v.check(theirs, f"{place} is not in {path}")
        if theirs:
            v.check(digest in (None, theirs[0]), f"{place}: record digest {theirs[0].hex()}")
            v.check(value in (None, theirs[1]), f"{place}: value digest {theirs[1].hex()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ledger", type=Path, metavar="LEDGER_DIR")
    for name in ("--digests", "--checkpoint", "--key", "--records"):
        parser.add_argument(name, type=Path, metavar="FILE")
    args = parser.parse_args()
    v = Verifier()
    log = args.ledger / "log"
    try:
        for number, data in read_blocks(log if log.is_dir() else args.ledger):
            v.number = number
            v.block(number, data)
    except Malformed as error:
        v.problems.append(f"block {len(v.blocks)}: {error}; nothing behind it was read")
    try:
        v.number = "(key)"
        trusted = read_verifier_key(args.key.read_text()) if args.key else None
        if trusted and v.blocks:
            v.check(trusted[0] == v.name, f"of {trusted[0]!r}, the ledger is {v.name!r}")
            if v.checkpoint:
                signers = v.checkpoint.signers(v.name, [trusted[1]])
                v.check(signers, "did not sign the newest block's checkpoint")
        if args.checkpoint:
            compare_checkpoint(v, args.checkpoint.read_text(encoding="utf-8"), trusted)
        if args.digests:
            compare_digests(v, json.loads(args.digests.read_text()))
        if args.records:
            compare_records(v, args.records)
    except (Malformed, ValueError, KeyError) as error:
        v.check(False, str(error))
    if v.problems:
        print(*v.problems, sep="\n")
        sys.exit(1)
    print(f"verified: {len(v.blocks)} blocks, {v.entries} entries, "
          f"tree size {len(v.tree)}, root {v.tree.root().hex()}")


if __name__ == "__main__":
    main()
