"""Random commands for tests/kv/differential."""

KEYS = [b"k%d" % i for i in range(40)] + [b"", b"\x00\r\n\xff", b"[k]*"]
NUMBERS = [b"0", b"1", b"-1", b"42", b"9223372036854775807", b"-9223372036854775808",
           b"9223372036854775808", b"007", b"+1", b" 1", b"1.5", b"-0", b""]
TEXTS = [b"", b"a", b"value", b"two words", b"\r\n", b"\x00\x01\xff", b"x" * 100, b"y" * 70_000]
# Far enough away that nothing ends while commands run.
SECONDS = [b"100", b"1000", b"100000", b"99999999999999999", b"0", b"-1", b"x", b"1e3"]
MOMENTS = [b"5000000000", b"9000000000", b"x"]
MOMENTS_MS = [b"5000000000000", b"9000000000000", b""]
PATTERNS = [b"*", b"k*", b"k?", b"k[1-3]", b"k[^1-3]*", b"*1*", b"\\[k\\]\\*", b"", b"[k"]
CHANNELS = [b"news", b"other", b""]
LARGEST_BATCH = 40


class Generator:
    """batch() yields lists of words; more than one of them only if each has one reply."""

    def __init__(self, random):
        self.random = random
        self.singles = [self.subscribe, self.unsubscribe, self.publish, self.reset, self.hello]
        self.commands = [
            (20, self.get_or_set), (8, self.number), (8, self.many), (8, self.expiry),
            (6, self.getex), (4, self.keyspace), (4, self.connection), (3, self.client),
            (3, self.about_server), (2, self.unknown),
        ]

    def batch(self):
        if self.one_in(25):
            return [self.mutated(self.random.choice(self.singles)())]
        weights, kinds = zip(*self.commands)
        size = 1 if self.one_in(3) else self.random.randint(1, LARGEST_BATCH)
        return [self.mutated(kind()) for kind in self.random.choices(kinds, weights, k=size)]

    # --- chance ---

    def one_in(self, n):
        return self.random.randrange(n) == 0

    def some(self, words, least=0, most=3):
        return [self.random.choice(words) for _ in range(self.random.randint(least, most))]

    def any(self, *words):
        return self.random.choice(words)

    def key(self):
        return self.random.choice(KEYS)

    def value(self):
        return self.random.choice(self.any(NUMBERS, TEXTS))

    def mutated(self, words):
        """Mostly as it is; else with a word too few or too many, or spelled in another way."""
        if self.one_in(4):
            words[0] = bytes(self.any(c, c ^ 0x20) if chr(c).isalpha() else c for c in words[0])
        if self.one_in(15) and len(words) > 1:
            del words[self.random.randrange(1, len(words))]
        elif self.one_in(20):
            words.insert(self.random.randint(1, len(words)), self.any(b"x", b"1", b"nx", b"EX"))
        return words

    # --- commands ---

    def get_or_set(self):
        key = self.key()
        return self.any(
            lambda: [b"GET", key], lambda: [b"GET", key], lambda: [b"STRLEN", key],
            lambda: [b"TYPE", key], lambda: [b"GETDEL", key],
            lambda: [b"SET", key, self.value()],
            lambda: [b"SET", key, self.value(), *self.set_options()],
            lambda: [b"SETEX", key, self.random.choice(SECONDS), self.value()],
            lambda: [b"PSETEX", key, self.any(b"100000", b"0", b"x"), self.value()],
            lambda: [b"SETNX", key, self.value()],
            lambda: [b"APPEND", key, self.value()])()

    def lifetime(self, *others):
        return self.any(lambda: [b"EX", self.random.choice(SECONDS)],
                        lambda: [b"PX", self.any(b"100000", b"999999", b"-5", b"x")],
                        lambda: [b"EXAT", self.random.choice(MOMENTS)],
                        lambda: [b"pxat", self.random.choice(MOMENTS_MS)],
                        *(lambda word=word: [word] for word in others))()

    def set_options(self):
        words = []
        for _ in range(self.random.randint(1, 3)):
            words += self.any(lambda: [self.any(b"NX", b"XX", b"get", b"KEEPTTL")],
                              lambda: self.lifetime(b"keepttl", b"persist"))()
        return words

    def getex(self):
        return [b"GETEX", self.key(), *self.any(
            lambda: [], lambda: self.lifetime(b"PERSIST", b"KEEPTTL"),
            lambda: [b"EXAT", b"1"], lambda: [b"PXAT", b"1000"])()]

    def number(self):
        name = self.any(b"INCR", b"DECR", b"INCRBY", b"DECRBY")
        words = [name, self.key()]
        return words + [self.random.choice(NUMBERS)] if name.endswith(b"BY") else words

    def many(self):
        keys = self.some(KEYS, 1, 10)
        if self.one_in(2):
            return [b"MSET", *(word for key in keys for word in (key, self.value()))]
        return [self.any(b"MGET", b"MGET", b"DEL", b"EXISTS", b"UNLINK", b"TOUCH"), *keys]

    def expiry(self):
        key = self.key()
        conditions = self.some([b"NX", b"XX", b"gt", b"LT", b"x"], 0, 2) if self.one_in(2) else []
        return self.any(
            lambda: [self.any(b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME"), key],
            lambda: [b"PERSIST", key],
            lambda: [b"EXPIRE", key, self.random.choice(SECONDS), *conditions],
            lambda: [b"PEXPIRE", key, self.any(b"100000", b"900000", b"-1", b"x"), *conditions],
            lambda: [b"EXPIREAT", key, self.random.choice(MOMENTS + [b"1"]), *conditions],
            lambda: [b"PEXPIREAT", key, self.random.choice(MOMENTS_MS + [b"1"]), *conditions])()

    def keyspace(self):
        if self.one_in(40):
            return [self.any(b"FLUSHALL", b"FLUSHDB"), *self.some([b"sync", b"ASYNC", b"x"], 0, 1)]
        return self.any(
            lambda: [b"DBSIZE"],
            lambda: [b"KEYS", self.random.choice(PATTERNS)],
            lambda: [b"SCAN", b"0", b"COUNT", b"100000", *self.scan_options()],
            lambda: [b"SCAN", self.any(b"0", b"x", b"0x", b"99999999999999999999", b" 0", b""),
                     *self.scan_options()])()

    def scan_options(self):
        words = []
        for _ in range(self.random.randint(0, 2)):
            words += self.any([b"MATCH", self.random.choice(PATTERNS)],
                              [b"TYPE", self.any(b"string", b"STRING", b"list", b"x")],
                              [b"COUNT", self.any(b"0", b"x", b"-1")], [b"FOO"])
        return words

    def connection(self):
        return self.any(
            [b"PING"], [b"PING", self.value()], [b"ECHO", self.value()],
            [b"SELECT", self.any(b"0", b"1", b"-1", b"x", b"99")],
            [b"AUTH", b"secret"], [b"AUTH", self.any(b"default", b"x"), b"secret"])

    def client(self):
        return [b"CLIENT", *self.any(
            [b"ID"], [b"getname"], [b"SETNAME", self.any(b"me", b"", b"a b", b"\n", b"x\xff")],
            [b"LIST"], [b"INFO"], [b"FOO"], [b"FOO\r\n", b"a"])]

    def about_server(self):
        return self.any(
            [b"INFO"], [b"INFO", self.any(b"server", b"nothing", b"ALL")],
            [b"CONFIG", b"GET", self.any(b"save", b"maxmemory", b"APPENDONLY", b"x", b"databases")],
            [b"CONFIG", b"FOO"], [b"COMMAND", b"FOO"], [b"COMMAND", b"COUNT"],
            [b"COMMAND", b"DOCS", b"get"], [b"COMMAND", b"INFO", b"get", b"foo"], [b"COMMAND"])

    def unknown(self):
        return [self.any(b"FOO", b"", b"get\r\n", b"z" * 200, b"se\xff"),
                *self.some([b"a", b"\r\n", b"long" * 40, b""])]

    # --- each in a batch of its own ---

    def hello(self):
        return [b"HELLO", *self.any(
            [b"2"], [b"3"], [b"3"], [], [b"4"], [b"x"], [b"3", b"SETNAME", b"me"],
            [b"3", b"SETNAME", b"a b"], [b"2", b"AUTH", b"default", b"x", b"setname", b"you"],
            [b"3", b"AUTH", b"x", b"y"], [b"3", b"FOO"])]

    def subscribe(self):
        return [b"SUBSCRIBE", *self.some(CHANNELS, 1, 3)]

    def unsubscribe(self):
        """The order in which Redis leaves several channels is that of its hash table."""
        return [b"UNSUBSCRIBE", *self.some(CHANNELS, 1, 4)]

    def publish(self):
        return [b"PUBLISH", self.any(*CHANNELS), self.value()]

    def reset(self):
        return [b"RESET"]
