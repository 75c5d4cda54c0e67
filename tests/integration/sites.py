"""What the tests of an ALG with servers on both sides set up alike: guests and hosts with addresses of their own, the ALG's counters, the ALG switched off."""
import pytest


class Site:
    """Of one module. A subclass makes `gateway` and names its ALG; close() takes back what own() gave."""
    alg, counters = None, ("granted", "edits", "violations", "gave_up")

    def __init__(self, world):
        self.world, self.given, self.servers = world, [], []

    def own(self, where, device, *addresses):
        for address in addresses:
            where.run("ip", "addr", "add", f"{address}/32", "dev", device)
            self.given.append((where, device, address))

    def stats(self):
        row = next(row for row in self.gateway.table("alg", "stats") if row["alg"] == self.alg)
        return {key: int(row[key] or 0) for key in self.counters}

    def close(self):
        for server in self.servers:
            server.stop()
        for where, device, address in self.given:
            where.run("ip", "addr", "del", f"{address}/32", "dev", device)


class Stage:
    """The ends of a test; they end with it. Its site has ports that it gives out."""

    def __init__(self, site):
        self.site, self.made = site, []

    def keep(self, what):
        self.made.append(what)
        return what

    def close(self):
        for what in reversed(self.made):
            what.close()
        self.site.ports.free()


def fixtures(made):
    """`site` and `switched_off` of a module whose site is made like that."""
    @pytest.fixture(scope="module")
    def site(world, spawn):
        site = made(world, spawn)
        yield site
        print(site.gateway.text())
        site.close()

    @pytest.fixture
    def switched_off(site):
        site.gateway.control("alg", "disable", made.alg)
        yield
        site.gateway.control("alg", "enable", made.alg)

    return site, switched_off
